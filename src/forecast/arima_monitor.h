#pragma once

#include "base/state_text.h"

namespace flexpert::forecast {

/// Watches a model's one-step errors: how large they really are, and whether they have drifted away from what the model
/// expects. The alarm is Page's (1954): sums of errors to one side, and of squares, in units of the model's own deviation.
class ArimaMonitor {
 public:
  /// Starts the sums over with a model of a newly chosen order whose shocks have variance `noise`; what is known of real
  /// errors stays.
  void new_order(double noise);
  /// Goes on with the same order, estimated anew.
  void new_estimate(double noise);
  /// Takes an error and its variance in units of the noise.
  void take(double error, double relative_variance);
  [[nodiscard]] bool drifted() const { return drifted_; }
  /// The variance of shocks as it was lately; large errors count at most fivefold the usual.
  [[nodiscard]] double realised_noise() const { return realised_; }

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  double noise_ = 0;
  double realised_ = 0;
  double weight_ = 0;  ///< errors that realised_ stands for
  double above_ = 0;
  double below_ = 0;
  double squares_ = 0;
  bool drifted_ = false;
};

}  // namespace flexpert::forecast
