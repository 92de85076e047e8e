#include "telemetry/metric_cells.h"

#include <limits>
#include <utility>

namespace flexpert::telemetry {
namespace {

constexpr std::int64_t kInfinite = 0x7ff;
constexpr double kMostWhole = 0x1p62;

}  // namespace

void CounterCell::add(double amount) {
  if (!(amount > 0)) return;
  const auto counted = amount < kMostWhole ? static_cast<std::int64_t>(amount) : 0;
  if (static_cast<double>(counted) == amount) whole.fetch_add(static_cast<std::uint64_t>(counted), std::memory_order_relaxed);
  else add_to(rest, amount);
}

HistogramCell::HistogramCell(std::vector<double> upper_bounds) : bounds_(std::move(upper_bounds)) {
  // A caller's own last bound may be infinity: then the bucket behind it stays empty, as in the library.
  bounds_.push_back(std::numeric_limits<double>::infinity());
  counts_ = std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size());
  lowest_ = exponent_of(*std::upper_bound(bounds_.begin(), bounds_.end() - 1, 0.0));
  // What is under the lowest exponent, or negative, begins at the first bound, like the lowest itself.
  for (std::int64_t i = 1; i < kExponents; ++i) {
    const auto least = std::bit_cast<double>(std::min(lowest_ + i, kInfinite) << 52);
    const auto first = std::lower_bound(bounds_.begin(), bounds_.end(), least) - bounds_.begin();
    first_of_[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(std::min<std::ptrdiff_t>(first, UINT8_MAX));
  }
}

}  // namespace flexpert::telemetry
