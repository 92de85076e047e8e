#pragma once

#include <cmath>
#include <cstdint>

namespace flexpert {

/// A seeded generator (SplitMix64: Steele, Lea, Flood 2014). The same seed gives the same sequence on every
/// machine, which std's distributions do not promise. Not for secrets. Copyable: a copy continues alike.
class Rng {
  __extension__ using Wide = unsigned __int128;

 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// Returns a double in [0, 1) with 53 random bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// Returns an integer in [0, bound); `bound` > 0. Bias is below 2^-32 for bounds below 2^32.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }
  /// Returns an exponentially distributed value of the given mean (inter-arrival times of a Poisson process).
  double exponential(double mean) { return -mean * std::log1p(-uniform()); }

 private:
  std::uint64_t state_;
};

}  // namespace flexpert
