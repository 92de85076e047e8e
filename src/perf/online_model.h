#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/state_text.h"
#include "perf/engine_model.h"

namespace flexpert::perf {

/// What a pool did over one interval, all instances together; means. Absent: not known.
struct IntervalMeans {
  double requests_per_s = 0;
  double isl = 0;
  double osl = 0;
  std::optional<double> ttft_s;
  std::optional<double> itl_s;
  std::optional<double> in_flight;
  double instances = 0;               ///< that were ready
};

struct OnlineModelOptions {
  double memory = 200;                ///< samples after which an old one counts for 1/e
  double prior_weight = 4;            ///< samples that the coefficients known at the start are worth, for good
  double huber = 1.5;                 ///< residuals over so many typical ones count less
  double reject = 6;                  ///< residuals over so many typical ones do not count
  std::uint32_t most_rejected = 5;    ///< in a row; then they are the new truth
};

/// An engine model that follows what is observed: recursive least squares on relative errors with forgetting, coefficients
/// never negative (so that more work never takes less time), outliers weighted down by Huber's rule against the median of
/// recent residuals. Where nothing new is learned about a term it stays near what was known. Source of the weights: Huber,
/// Robust estimation of a location parameter (1964). Deterministic; state under 8 KiB.
class OnlineEngineModel {
 public:
  /// Without `prior` the first sample is taken to be half fixed time, half work.
  OnlineEngineModel(EngineLimits limits, std::optional<StepCoefficients> prior, OnlineModelOptions options = {});

  /// Takes one step (or the mean of several). Returns whether it was used: values out of range and outliers are not.
  bool observe(const StepSample& step);
  /// Takes an interval as the steps that it is the mean of: ITL is a step's time; TTFT a prompt's steps, where little waits.
  bool observe(const IntervalMeans& interval, EngineRole role);

  /// Absent before the first sample when there is no prior.
  [[nodiscard]] std::optional<EngineModel> model() const;
  /// Median of the recent relative errors before learning from them; 0 before the first.
  [[nodiscard]] double typical_error() const;
  [[nodiscard]] std::uint64_t used() const { return used_; }
  [[nodiscard]] std::uint64_t rejected() const { return rejected_; }
  /// The most requests/s that one instance was seen to serve; 0 before the first interval.
  [[nodiscard]] double largest_rate() const { return largest_rate_; }

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  using Vector = std::array<double, 4>;

  void learn(const Vector& row, double weight);
  void solve();

  EngineLimits limits_;
  OnlineModelOptions options_;
  std::optional<StepCoefficients> prior_;
  bool prior_given_ = false;
  Vector anchor_scale_{};                  ///< typical size of each column: units of the prior's weight
  std::array<Vector, 4> normal_{};         ///< sum of weighted rows' outer products
  Vector right_{};
  std::optional<StepCoefficients> now_;
  std::vector<double> residuals_;          ///< newest last, at most 32
  std::uint64_t used_ = 0;
  std::uint64_t rejected_ = 0;
  std::uint32_t rejected_in_a_row_ = 0;
  double largest_rate_ = 0;
};

}  // namespace flexpert::perf
