#pragma once

#include <vector>

namespace flexpert::perf {

/// Sequences that decode together: with b of them a step takes fixed + each * b seconds and gives each one token. Those over
/// the limit wait. Poisson arrivals; the stationary distribution is that of generalised processor sharing (Cohen 1979).
class SharingQueue {
 public:
  /// `tokens_per_s` arrive as work; `most` sequences at once. `most` >= 1. The load must be
  /// stable: less than a full batch makes.
  SharingQueue(double tokens_per_s, double fixed, double each, double most);
  [[nodiscard]] double mean_served() const { return mean_; }
  /// Number of sequences in service that is not exceeded with probability `p`; between whole numbers in proportion.
  [[nodiscard]] double served_quantile(double p) const;
  /// Mean time between two tokens of a sequence in service.
  [[nodiscard]] double seconds_per_token() const { return seconds_per_token_; }
  /// Probability that nothing decodes.
  [[nodiscard]] double empty() const { return empty_; }
  /// Probability that an arrival finds the batch full.
  [[nodiscard]] double full() const { return full_; }
  /// Arriving tokens over what a full batch makes.
  [[nodiscard]] double load_when_full() const { return load_when_full_; }

 private:
  double mean_ = 0;
  double seconds_per_token_ = 0;
  double empty_ = 1;
  double full_ = 0;
  double load_when_full_ = 0;
  std::vector<double> weights_{1};  ///< of 0, 1, ... sequences: probabilities times `all_`
  double all_ = 1;
};

}  // namespace flexpert::perf
