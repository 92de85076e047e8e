#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/state_text.h"

namespace flexpert::scaling {

/// Means over windows of samples that come with their time. A sample is the mean over the time since the one before it (at
/// most `longest_s`); a window that it lies in partly weighs that part.
class KpaWindow {
 public:
  /// Takes a sample; one that is not younger than the newest is the same one seen again, and ignored.
  void add(std::int64_t unix_ms, double value, double longest_s);
  /// Forgets what lies wholly before the window that ends at `unix_ms`.
  void expire(std::int64_t unix_ms, double window_s);
  /// Returns the mean over the last `window_s`; nothing if no sample reaches into it.
  [[nodiscard]] std::optional<double> mean(std::int64_t unix_ms, double window_s) const;
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  struct Sample {
    std::int64_t unix_ms = 0;
    std::int64_t length_ms = 0;
    double value = 0;
  };
  std::deque<Sample> samples_;
};

}  // namespace flexpert::scaling
