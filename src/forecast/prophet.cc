#include "forecast/prophet.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "forecast/prophet_posterior.h"

namespace flexpert::forecast {
namespace {

constexpr std::size_t kChangepoints = 25;
constexpr double kChangepointRange = 0.8;
constexpr double kDayS = 86400;
constexpr std::size_t kDescendFrom = 100;  // values from which Prophet searches by L-BFGS

/// Writes the sines and cosines of one time, through the addition theorem: two calls of libm a seasonality.
void harmonics(const std::vector<Seasonality>& seasonalities, double time_s, double* out) {
  for (const Seasonality& seasonality : seasonalities) {
    const double angle = 2 * std::numbers::pi * std::fmod(time_s, seasonality.period_s) / seasonality.period_s;
    const double sine = std::sin(angle);
    const double cosine = std::cos(angle);
    double s = sine;
    double c = cosine;
    for (std::size_t i = 0; i < seasonality.order; ++i) {
      *out++ = s;
      *out++ = c;
      const double next = s * cosine + c * sine;
      c = c * cosine - s * sine;
      s = next;
    }
  }
}

std::size_t harmonic_count(const std::vector<Seasonality>& seasonalities) {
  std::size_t out = 0;
  for (const Seasonality& seasonality : seasonalities) out += 2 * seasonality.order;
  return out;
}

/// Scaled times of changepoints: values evenly spread over the first part, without the first.
std::vector<double> spread_changepoints(std::span<const double> scaled_times) {
  const auto reach = static_cast<std::size_t>(std::floor(static_cast<double>(scaled_times.size()) * kChangepointRange));
  const std::size_t count = kChangepoints + 1 > reach ? (reach == 0 ? 0 : reach - 1) : kChangepoints;
  std::vector<double> out;
  for (std::size_t i = 1; i <= count; ++i) {
    const double at = static_cast<double>(i) * static_cast<double>(reach - 1) / static_cast<double>(count);
    out.push_back(scaled_times[static_cast<std::size_t>(std::nearbyint(at + 1)) - 1]);
  }
  return out;
}

}  // namespace

double ProphetFit::trend(double time_s) const {
  const double t = (time_s - start_s) / span_s;
  double out = k * t + m;
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    if (t >= changepoints[i]) out += deltas[i] * (t - changepoints[i]);
  }
  return out * y_scale;
}

double ProphetFit::forecast(double time_s) const {
  double out = 0;
  if (!beta.empty()) {
    std::vector<double> features(beta.size());
    harmonics(seasonalities, time_s, features.data());
    for (std::size_t i = 0; i < beta.size(); ++i) out += features[i] * beta[i];
  }
  return trend(time_s) + out * y_scale;
}

std::vector<Seasonality> automatic_seasonalities(std::span<const double> times_s) {
  std::vector<Seasonality> out;
  if (times_s.size() < 2) return out;
  const double span = times_s.back() - times_s.front();
  double closest = span;
  for (std::size_t i = 1; i < times_s.size(); ++i) closest = std::min(closest, times_s[i] - times_s[i - 1]);
  if (span >= 730 * kDayS) out.push_back({365.25 * kDayS, 10});
  if (span >= 14 * kDayS && closest < 7 * kDayS) out.push_back({7 * kDayS, 3});
  if (span >= 2 * kDayS && closest < kDayS) out.push_back({kDayS, 4});
  return out;
}

Result<ProphetFit> fit_prophet(std::span<const double> times_s, std::span<const double> values, ProphetSearch search) {
  if (times_s.size() != values.size()) return fail(ErrorCode::kInvalidArgument, "times_s: {} for {} values", times_s.size(), values.size());
  std::vector<double> times;
  std::vector<double> y;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && !(times_s[i] > times_s[i - 1])) {
      return fail(ErrorCode::kInvalidArgument, "times_s: number {} does not come after the one before", i);
    }
    if (!std::isfinite(values[i])) continue;
    times.push_back(times_s[i]);
    y.push_back(values[i]);
  }
  if (y.size() < 2) return fail(ErrorCode::kInvalidArgument, "values: {} of them are too few, 2 needed", y.size());

  ProphetFit fit;
  fit.start_s = times.front();
  fit.span_s = times.back() - times.front();
  double largest = 0;
  for (const double value : y) largest = std::max(largest, std::abs(value));
  fit.y_scale = largest > 0 ? largest : 1;
  std::vector<double> t(times.size());
  for (std::size_t i = 0; i < t.size(); ++i) {
    t[i] = (times[i] - fit.start_s) / fit.span_s;
    y[i] /= fit.y_scale;
  }
  fit.changepoints = spread_changepoints(t);
  fit.deltas.assign(fit.changepoints.size(), 0);
  fit.seasonalities = automatic_seasonalities(times);
  fit.beta.assign(harmonic_count(fit.seasonalities), 0);
  const auto [least, most] = std::minmax_element(y.begin(), y.end());
  if (*least == *most) {
    fit.m = *least;
    return fit;
  }

  const std::size_t trend_width = 2 + fit.deltas.size();
  ProphetPosterior posterior(t.size(), trend_width + fit.beta.size());
  for (std::size_t i = 0; i < t.size(); ++i) {
    double* row = posterior.row(i);
    row[0] = t[i];
    row[1] = 1;
    for (std::size_t j = 0; j < fit.deltas.size(); ++j) row[2 + j] = std::max(0.0, t[i] - fit.changepoints[j]);
    harmonics(fit.seasonalities, times[i], row + trend_width);
  }
  const bool descends = search == ProphetSearch::kAsProphet && y.size() >= kDescendFrom;
  const ProphetPosterior::Mode mode = descends ? posterior.descend(y, fit.deltas.size()) : posterior.maximise(y, fit.deltas.size());
  fit.k = mode.weights[0];
  fit.m = mode.weights[1];
  std::copy_n(mode.weights.begin() + 2, fit.deltas.size(), fit.deltas.begin());
  std::copy(mode.weights.begin() + static_cast<std::ptrdiff_t>(trend_width), mode.weights.end(), fit.beta.begin());
  fit.sigma_obs = mode.sigma;
  return fit;
}

}  // namespace flexpert::forecast
