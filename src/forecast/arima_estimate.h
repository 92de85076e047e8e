#pragma once

#include <optional>
#include <span>
#include <vector>

#include "forecast/arima.h"
#include "forecast/arma_likelihood.h"

namespace flexpert::forecast {

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
  [[nodiscard]] bool search_conditional(const ArimaOrder& order, std::vector<double>& free, const std::vector<double>& scales) const;
  [[nodiscard]] ArimaFit finish(const ArimaOrder& order, std::span<const double> free, bool conditional, double offset) const;

  std::vector<double> original_;     ///< with gaps; empty where there are none
  std::vector<double> differenced_;  ///< gaps filled along straight lines
  std::size_t differences_;
  std::size_t values_ = 0;
  double mean_ = 0;
  double standard_error_ = 0;
};

}  // namespace flexpert::forecast
