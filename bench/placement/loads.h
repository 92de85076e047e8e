#pragma once

#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "fleet/expert_counts.h"

namespace flexpert::bench {

/// Draws expert loads of consecutive windows: per layer a Zipf-Mandelbrot law (weights proportional to (rank + q)^-s, rank
/// from 1) on a random permutation, times log-normal noise per expert that drifts as an AR(1) process from window to
/// window, then 131,072 tokens x top_k choices split in these proportions.
class DriftingLoads {
 public:
  struct Law {
    double s = 0.45;
    double q = 2;
    double sigma = 0.55;  ///< of the noise's logarithm
    double ar1 = 0.95;    ///< its coefficient
    std::uint64_t tokens = 131072;
    std::uint32_t top_k = 8;
  };
  DriftingLoads(ExpertGeometry geometry, std::uint64_t seed, Law law);
  DriftingLoads(ExpertGeometry geometry, std::uint64_t seed) : DriftingLoads(geometry, seed, Law{}) {}

  /// Returns the next window's counts.
  ExpertCounts next();

 private:
  double normal();

  ExpertGeometry geometry_;
  Law law_;
  Rng rng_;
  std::vector<double> base_;   // [layers][experts]
  std::vector<double> noise_;  // alongside, of unit variance
};

/// Returns this thread's CPU time in milliseconds.
double thread_cpu_ms();

/// Returns the least CPU time of `runs` calls, in milliseconds.
template <typename Call>
double least_cpu_ms(int runs, Call&& call) {
  double least = 1e300;
  for (int i = 0; i < runs; ++i) {
    const double start = thread_cpu_ms();
    call();
    const double took = thread_cpu_ms() - start;
    if (took < least) least = took;
  }
  return least;
}

}  // namespace flexpert::bench
