#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/state_text.h"

namespace flexpert::forecast {

/// Quantiles around a point forecast from how wrong its own forecasts were: remembers what was forecast 1, 3, 10 and 30
/// steps ahead and the last 40 errors of each. Between those horizons it interpolates and beyond them spreads grow with the
/// square root of the horizon, as those of a random walk do. Bounded memory. Single-threaded.
class ResidualBounds {
 public:
  /// Returns the point forecast at a horizon, from what was known before the value that is now observed.
  using Forecast = std::function<double(std::size_t)>;

  /// Scores the forecasts that were made for now. NaN is a gap: nothing is scored.
  void score(double value);
  /// Remembers what is now expected.
  void expect(const Forecast& forecast);
  /// Returns what to add to the forecast at that horizon for each level: never decreasing. 0 before the first error.
  [[nodiscard]] std::vector<double> offsets(std::size_t horizon, std::span<const double> levels) const;

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  static constexpr std::array<std::size_t, 4> kHorizons = {1, 3, 10, 30};
  static constexpr std::size_t kErrors = 40;

  struct Track {
    std::vector<double> pending;  ///< forecasts for the next steps, the oldest first
    std::vector<double> errors;   ///< the oldest first
  };
  [[nodiscard]] std::vector<double> tracked_offsets(std::size_t track, std::span<const double> levels) const;

  std::array<Track, kHorizons.size()> tracks_;
};

}  // namespace flexpert::forecast
