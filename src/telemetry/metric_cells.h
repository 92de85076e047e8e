#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

/// What handles of metrics count in: the library's own series get it when they are written out. An increment of those costs 100
/// instructions, an observation 250 and a lock. Safe from any thread; the functions that end in _alone are for series that one
/// thread writes: they spare the locked instruction.
namespace flexpert::telemetry {

/// Adds to a number that is read at any time. Doubles have no instruction for it.
inline void add_to(std::atomic<double>& value, double amount) {
  double seen = value.load(std::memory_order_relaxed);
  while (!value.compare_exchange_weak(seen, seen + amount, std::memory_order_relaxed)) {
  }
}

template <class Number>
void add_alone_to(std::atomic<Number>& value, Number amount) {
  value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

/// Whole amounts, which most are, apart from the others.
struct CounterCell {
  std::atomic<std::uint64_t> whole{0};
  std::atomic<double> rest{0};

  void add(double amount);
  [[nodiscard]] double value() const {
    return static_cast<double>(whole.load(std::memory_order_relaxed)) + rest.load(std::memory_order_relaxed);
  }
};

struct GaugeCell {
  std::atomic<double> value{0};
};

class HistogramCell {
 public:
  /// `upper_bounds` ascend.
  explicit HistogramCell(std::vector<double> upper_bounds);

  void observe(double value) {
    counts_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
    add_to(sum_, value);
  }
  void observe_alone(double value) {
    add_alone_to<std::uint64_t>(counts_[bucket_of(value)], 1);
    add_alone_to(sum_, value);
  }
  /// One more than bounds.
  [[nodiscard]] std::size_t buckets() const { return bounds_.size(); }
  /// Not summed up.
  [[nodiscard]] std::uint64_t count(std::size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  [[nodiscard]] double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::int64_t kExponents = 64;

  static std::int64_t exponent_of(double value) { return std::bit_cast<std::int64_t>(value) >> 52; }
  /// Returns the first bucket whose bound is not under `value`. The exponent tells nearly all of it.
  [[nodiscard]] std::size_t bucket_of(double value) const {
    const std::int64_t above = std::clamp<std::int64_t>(exponent_of(value) - lowest_, 0, kExponents - 1);
    std::size_t bucket = first_of_[static_cast<std::size_t>(above)];
    while (bounds_[bucket] < value) ++bucket;
    return bucket;
  }

  std::vector<double> bounds_;                       ///< and infinity at the end
  std::int64_t lowest_ = 0;                          ///< the exponent of the first bound, as doubles hold it
  std::array<std::uint8_t, kExponents> first_of_{};  ///< by exponent, from the lowest on: where to begin
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

}  // namespace flexpert::telemetry
