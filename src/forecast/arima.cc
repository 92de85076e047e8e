#include "forecast/arima.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <vector>

#include "forecast/arima_start.h"
#include "forecast/lbfgs.h"

namespace flexpert::forecast {
namespace {

constexpr double kDiffuse = 1e6;

// Any number to a partial autocorrelation and back.
double squeeze(double value) { return value / std::sqrt(1 + value * value); }
double stretch(double partial) { return partial / std::sqrt(1 - partial * partial); }

Lags lags_of_free(std::span<const double> free) {
  Lags partials = Lags::of(free);
  for (std::size_t i = 0; i < partials.count; ++i) partials.at[i] = squeeze(-partials.at[i]);
  return lags_from_partials(partials);
}

void append_free(std::vector<double>& out, const Lags& lags) {
  const Lags partials = partials_from_lags(lags);
  for (const double partial : partials.values()) out.push_back(-stretch(partial));
}

Lags negated(Lags lags) {
  for (double& value : lags.at) value = -value;
  return lags;
}

/// The order of the numbers that are searched: constant, AR, MA, root of the noise.
struct Parameters {
  ArimaCoefficients coefficients;
  double noise = 0;
};

Parameters unpack(const std::vector<double>& free, const ArimaOrder& order) {
  Parameters out;
  out.coefficients.differences = order.d;
  std::span<const double> rest = free;
  if (order.constant) {
    out.coefficients.constant = rest.front();
    rest = rest.subspan(1);
  }
  out.coefficients.process.ar = lags_of_free(rest.first(order.p));
  out.coefficients.process.ma = negated(lags_of_free(rest.subspan(order.p, order.q)));
  out.noise = rest.back() * rest.back();
  return out;
}

double log_likelihood_of(const Parameters& parameters, std::span<const double> series) {
  ArimaFilter filter(parameters.coefficients, parameters.noise, kDiffuse);
  if (!filter.valid()) return -std::numeric_limits<double>::infinity();
  std::size_t seen = 0;
  double sum = 0;
  for (const double value : series) {
    const ArimaFilter::Innovation innovation = filter.step(value);
    if (std::isnan(innovation.error) || seen++ < parameters.coefficients.differences) continue;
    sum += std::log(2 * std::numbers::pi * innovation.variance) + innovation.error * innovation.error / innovation.variance;
  }
  return -0.5 * sum;
}

std::vector<double> differenced(std::span<const double> series, std::size_t d) {
  std::vector<double> out(series.begin(), series.end());
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t k = 0; k + 1 < out.size(); ++k) out[k] = out[k + 1] - out[k];
    out.pop_back();
  }
  std::erase_if(out, [](double value) { return !std::isfinite(value); });
  return out;
}

std::vector<double> starting_point(std::span<const double> series, const ArimaOrder& order) {
  std::vector<double> free;
  std::vector<double> stationary = differenced(series, order.d);
  if (order.constant) {
    const double sum = std::accumulate(stationary.begin(), stationary.end(), 0.0);
    free.push_back(stationary.empty() ? 0.0 : sum / static_cast<double>(stationary.size()));
    for (double& value : stationary) value -= free.front();
  }
  const ArmaStart start = regress_arma(stationary, order.p, order.q);
  append_free(free, start.process.ar);
  append_free(free, negated(start.process.ma));
  free.push_back(std::sqrt(start.noise));
  return free;
}

double aicc_of(double log_likelihood, std::size_t values, std::size_t estimated) {
  const double k = static_cast<double>(estimated);
  const double left = static_cast<double>(values) - k - 1;
  if (left <= 0) return std::numeric_limits<double>::infinity();
  return -2 * log_likelihood + 2 * k + 2 * k * (k + 1) / left;
}

}  // namespace

Result<ArimaFit> fit_arima(std::span<const double> series, const ArimaOrder& order) {
  if (order.p > kMaxArimaLags || order.q > kMaxArimaLags) {
    return fail(ErrorCode::kInvalidArgument, "order: p and q must be at most {}, not {} and {}", kMaxArimaLags, order.p, order.q);
  }
  if (order.d > kMaxArimaDifferences) {
    return fail(ErrorCode::kInvalidArgument, "order: d must be at most {}, not {}", kMaxArimaDifferences, order.d);
  }
  if (order.constant && order.d == 2) return fail(ErrorCode::kInvalidArgument, "order: a constant needs d of 0 or 1, not 2");
  const auto known = static_cast<std::size_t>(std::count_if(series.begin(), series.end(), [](double v) { return std::isfinite(v); }));
  if (known < order.d + 2) return fail(ErrorCode::kInvalidArgument, "series: needs at least {} values, not {}", order.d + 2, known);

  const auto per_value = static_cast<double>(series.size());
  const LbfgsResult best = minimise_lbfgs(
      [&](const std::vector<double>& free) { return -log_likelihood_of(unpack(free, order), series) / per_value; },
      starting_point(series, order));
  const Parameters parameters = unpack(best.point, order);
  ArimaFit fit{.order = order, .coefficients = parameters.coefficients, .noise = parameters.noise};
  fit.log_likelihood = log_likelihood_of(parameters, series);
  fit.aicc = aicc_of(fit.log_likelihood, known - order.d, best.point.size());
  return fit;
}

ArimaFilter filter_series(const ArimaFit& fit, std::span<const double> series) {
  // Without noise every value is predicted exactly, and beyond this its square has no room: any unit gives these forecasts.
  constexpr double kLargestNoise = 1e100;
  ArimaFilter filter(fit.coefficients, fit.noise > 0 && fit.noise < kLargestNoise ? fit.noise : 1.0, kDiffuse);
  for (const double value : series) filter.step(value);
  return filter;
}

}  // namespace flexpert::forecast
