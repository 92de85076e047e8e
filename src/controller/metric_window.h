#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace flexpert::controller {

/// How far several counters of one process have grown within the newest stretch of time. Plain bookkeeping, no clock.
class MetricWindow {
 public:
  /// `width` counters, looked at over `window`.
  MetricWindow(std::size_t width, Duration window) : width_(width), window_(window) {}

  /// Notes what the counters show at `at` (ascending). A counter that shows less than before began again at zero. The first
  /// reading is where counting begins, unless `from_zero` says when all of them were zero.
  void take(TimePoint at, const std::vector<std::optional<double>>& counters, std::optional<TimePoint> from_zero = std::nullopt);

  /// The process began again: its counters count from zero, whatever they show next.
  void restart() { values_.assign(width_, 0.0); }
  /// Returns what a counter grew by within the window that ends at `now`; what was seen to grow over a stretch that began
  /// before counts in proportion. Empty: nothing is known of it.
  [[nodiscard]] std::optional<double> increase(std::size_t counter, TimePoint now) const;
  /// Returns since when growth is known, but not before the window that ends at `now`; empty: not at all.
  [[nodiscard]] std::optional<TimePoint> covered_from(TimePoint now) const;
  /// When the counters were last read.
  [[nodiscard]] std::optional<TimePoint> last() const { return last_; }
  /// Tells whether nothing is left of it in the window that ends at `now`.
  [[nodiscard]] bool over(TimePoint now) const { return !last_ || *last_ <= now - window_; }

 private:
  struct Step {
    TimePoint from;
    TimePoint to;
    std::vector<double> growth;       ///< NaN where a counter was not there
  };

  std::size_t width_;
  Duration window_;
  std::optional<TimePoint> last_;
  std::vector<std::optional<double>> values_;
  std::deque<Step> steps_;
};

/// The mean of a level over the newest stretch of time, each reading holding until the next. No clock.
class LevelWindow {
 public:
  explicit LevelWindow(Duration window) : window_(window) {}
  void take(TimePoint at, double value);
  /// Returns the mean over the window that ends at `now`, and when it was last read.
  [[nodiscard]] std::optional<double> mean(TimePoint now) const;
  [[nodiscard]] std::optional<TimePoint> last() const;
  [[nodiscard]] std::optional<double> newest() const;

 private:
  Duration window_;
  std::deque<std::pair<TimePoint, double>> readings_;
};

}  // namespace flexpert::controller
