#pragma once

#include "base/result.h"
#include "base/state_text.h"

namespace flexpert::perf {

struct CorrectionOptions {
  bool enabled = true;
  double low = 0.1;         ///< clamp
  double high = 10;
  double smoothing = 0.1;   ///< weight of the newest ratio, (0, 1]; 1 is the classic planner's
};

/// Observed over expected latency, clamped and smoothed: how far a profile is off right now.
class Correction {
 public:
  explicit Correction(CorrectionOptions options = {}) : options_(options) {}
  /// Takes one interval. Values that are not positive and finite are ignored.
  void observe(double observed_s, double expected_s);
  /// 1 before the first observation and while disabled.
  [[nodiscard]] double factor() const { return options_.enabled ? factor_ : 1; }
  [[nodiscard]] double newest_ratio() const { return newest_ratio_; }
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  CorrectionOptions options_;
  double factor_ = 1;
  double newest_ratio_ = 1;
  bool seen_ = false;
};

}  // namespace flexpert::perf
