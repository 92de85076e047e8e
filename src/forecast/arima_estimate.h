#pragma once

#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "forecast/arima.h"
#include "forecast/arma_likelihood.h"

namespace flexpert::forecast {

/// What a choice among models has cost, and what there is to shorten the rest of it.
struct ArimaEffort {
  std::size_t spent = 0;  ///< evaluations until now
  double to_beat = std::numeric_limits<double>::infinity();  ///< a criterion: a model that is not below it is of no use
  const ArimaFit* near = nullptr;  ///< a good model of a similar order

  /// From here on searches start roughly, or at `near` for the same lags, and are given up where they will not be of use.
  static constexpr std::size_t kPatience = 3000;
  static constexpr std::size_t kEnough = 7000;  ///< from here on no further model is looked at
  [[nodiscard]] bool hasty() const { return spent >= kPatience; }
};

/// A series made ready for many models of it that share the number of differences: what R's arima() works on.
class ArimaSeries {
 public:
  /// NaN values are gaps; there must be at least d + 2 others and no infinite ones.
  ArimaSeries(std::span<const double> series, std::size_t differences);

  [[nodiscard]] std::size_t values() const { return values_; }           ///< that are not missing, before differencing
  [[nodiscard]] std::size_t differences() const { return differences_; }
  [[nodiscard]] std::size_t effective_values() const { return values_ - differences_; }

  /// Estimates by the conditional sum of squares, which is quick; the criterion is that of a series whose likelihood is
  /// `offset` away. Nothing where the search fails.
  [[nodiscard]] std::optional<ArimaFit> estimate_conditional(const ArimaOrder& order, double offset) const;
  /// Estimates by the exact likelihood, the noise taken out, from the conditional estimate. Nothing where the search fails.
  [[nodiscard]] std::optional<ArimaFit> estimate_exact(const ArimaOrder& order) const;
  /// The same, adding to the effort and sparing it: a model that is not of use may be left with too high a criterion.
  [[nodiscard]] std::optional<ArimaFit> estimate_exact(const ArimaOrder& order, ArimaEffort& effort) const;
  /// Returns what conditional criteria are off by, measured with white noise.
  [[nodiscard]] double conditional_offset() const;

  /// Returns whether a fit is to be trusted: roots at least 1 % outside the unit circle and a curvature that gives each
  /// coefficient a variance.
  [[nodiscard]] bool sound(const ArimaFit& fit, bool conditional) const;

 private:
  [[nodiscard]] std::vector<double> start(const ArimaOrder& order, std::vector<double>& scales) const;
  template <std::size_t kMost>
  void conditional_objectives_of(std::span<const double> points, const ArimaOrder& order, std::span<double> values) const;
  void conditional_objectives(std::span<const double> points, const ArimaOrder& order, std::span<double> values) const;
  /// The autoregression is given as partials before tanh.
  template <std::size_t kMost>
  void exact_objectives_of(std::span<const double> points, const ArimaOrder& order, std::span<double> values) const;
  void exact_objectives(std::span<const double> points, const ArimaOrder& order, std::span<double> values) const;
  [[nodiscard]] ArmaErrors gapped_errors(const ArmaModel& model) const;
  [[nodiscard]] bool search_conditional(const ArimaOrder& order, std::vector<double>& free, const std::vector<double>& scales,
                                        ArimaEffort& effort) const;
  /// Sets the coefficients that the exact search starts at, partials through atanh; false where there are none.
  [[nodiscard]] bool start_exact(const ArimaOrder& order, std::vector<double>& free, const std::vector<double>& scales,
                                 ArimaEffort& effort) const;
  [[nodiscard]] double objective_at(const ArimaOrder& order, double aicc) const;
  [[nodiscard]] ArimaFit finish(const ArimaOrder& order, std::span<const double> free, bool conditional, double offset) const;

  std::vector<double> original_;     ///< with gaps; empty where there are none
  std::vector<double> differenced_;  ///< gaps filled along straight lines
  std::size_t differences_;
  std::size_t values_ = 0;
  double mean_ = 0;
  double standard_error_ = 0;
};

}  // namespace flexpert::forecast
