#include "scaling/traffic_forecast.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "forecast/warm_start.h"
#include "scaling/policy_metrics.h"

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kMostGaps = 512;
constexpr double kMostSteps = 1000;
constexpr std::int64_t kCalibrated = 60;
constexpr double kMarginWeight = 1.0 / 120;
constexpr double kLargestMargin = 10;
constexpr double kMostTraceSteps = 20'160;  // two weeks of minutes
constexpr double kDayS = 86400;
constexpr double kRecentS = 3600;
constexpr double kOverSeen = 1.25;
constexpr double kRarelyOverSeen = 1.5;
constexpr double kMostRemembered = 1e15;

Reason forecast_reason(const TrafficForecast& at, double quantile, const ForecastOptions& options) {
  return {"forecast",
          fmt::format("{}: {:.4g} requests/s in {:.0f} s, {:.4g} at most with probability {:g}", options.predictor, at.requests_per_s,
                      at.horizon_s, at.requests_per_s_upper, quantile),
          {{"horizon_s", at.horizon_s},
           {"requests_per_s", at.requests_per_s},
           {"requests_per_s_upper", at.requests_per_s_upper},
           {"quantile", quantile},
           {"isl", at.isl},
           {"osl", at.osl}}};
}

}  // namespace

Result<PoolTrafficForecast> PoolTrafficForecast::create(const ForecastOptions& options, double interval_s) {
  PoolTrafficForecast made(options, interval_s);
  const forecast::PredictorOptions requests{options.predictor, interval_s, true, options.window};
  forecast::PredictorOptions lengths = requests;
  if (lengths.name == "mixture") lengths.name = "exponential";
  FLEXPERT_ASSIGN(made.requests_, forecast::make_predictor(requests));
  FLEXPERT_ASSIGN(made.isl_, forecast::make_predictor(lengths));
  FLEXPERT_ASSIGN(made.osl_, forecast::make_predictor(lengths));
  if (options.trace) FLEXPERT_TRY(made.warm_start(*options.trace));
  return made;
}

Result<void> PoolTrafficForecast::warm_start(const LoadTrace& trace) {
  const double wanted = std::ceil(kMostTraceSteps * interval_s_ / trace.step_s) + 1;
  const std::size_t kept = std::min(trace.values.size(), static_cast<std::size_t>(std::min(wanted, 1e7)));
  std::vector<double> newest(trace.values.end() - static_cast<std::ptrdiff_t>(kept), trace.values.end());
  for (double& value : newest) value = fresh(MetricSample{value * trace.scale, 0}, 0).value_or(std::numeric_limits<double>::quiet_NaN());
  newest = forecast::resampled(newest, trace.step_s, interval_s_);
  if (newest.size() > kMostTraceSteps) newest.erase(newest.begin(), newest.end() - static_cast<std::ptrdiff_t>(kMostTraceSteps));
  forecast::warm_start(*requests_, newest);
  for (const double value : newest)
    if (std::isfinite(value)) count(value);
  return {};
}

void PoolTrafficForecast::pass_since_trace(std::int64_t unix_ms) {
  if (!options_.trace || !options_.trace->end_unix_s) return;
  // Only its part of a day counts, so that yesterday's shape keeps its hours.
  const double since_s = std::fmod(std::max(0.0, static_cast<double>(unix_ms) / 1000 - *options_.trace->end_unix_s), kDayS);
  const auto gaps = std::llround(std::min(since_s / interval_s_ - 1, kMostTraceSteps));
  for (long long i = 0; i < gaps; ++i) requests_->observe(std::numeric_limits<double>::quiet_NaN());
}

void PoolTrafficForecast::count(double requests_per_s) {
  if (values_ >= kCalibrated) return;
  ++values_;
  largest_ = std::max(largest_, requests_per_s);
}

double PoolTrafficForecast::Margin::smooth(double mean, double bound) {
  if (!(mean > 0)) return bound;
  const double newest = std::clamp(bound / mean, 1.0, kLargestMargin);
  ratio = known ? ratio + kMarginWeight * (newest - ratio) : newest;
  known = true;
  return mean * ratio;
}

double PoolTrafficForecast::most(double over_seen) const {
  if (values_ < kCalibrated) return largest_;
  return recent_.empty() ? std::numeric_limits<double>::infinity() : over_seen * static_cast<double>(recent_.largest()) / 1000;
}

void PoolTrafficForecast::take(const PoolTraffic& traffic, std::int64_t unix_ms, double max_age_s) {
  const double gap = std::numeric_limits<double>::quiet_NaN();
  if (last_unix_ms_ == 0) {
    pass_since_trace(unix_ms);
  } else {
    const double steps = static_cast<double>(unix_ms - last_unix_ms_) / 1000 / interval_s_;
    const std::int64_t missed = std::clamp<std::int64_t>(std::llround(std::min(steps, 1e6)) - 1, 0, kMostGaps);
    for (std::int64_t i = 0; i < missed; ++i) {
      for (auto* predictor : {&requests_, &isl_, &osl_}) (*predictor)->observe(gap);
    }
  }
  last_unix_ms_ = unix_ms;
  const auto requests = fresh(traffic.requests_per_s, max_age_s);
  seen_ = seen_ || requests.has_value();
  if (requests) {
    count(*requests);
    recent_.add(unix_ms, std::llround(std::min(*requests, kMostRemembered) * 1000));
  }
  requests_->observe(requests.value_or(gap));
  const bool idle = requests == 0.0;  // nothing came, so nothing is known of its length
  isl_->observe(idle ? gap : fresh(traffic.isl, max_age_s).value_or(gap));
  osl_->observe(idle ? gap : fresh(traffic.osl, max_age_s).value_or(gap));
}

TrafficOutlook PoolTrafficForecast::observe(const PoolTraffic& traffic, std::optional<double> startup_s, std::int64_t unix_ms,
                                            double max_age_s) {
  take(traffic, unix_ms, max_age_s);
  TrafficOutlook out;
  if (!seen_) return out;
  const double startup = startup_s && std::isfinite(*startup_s) && *startup_s >= 0 ? *startup_s : options_.default_startup_s;
  const double steps = std::clamp(std::ceil((startup + interval_s_) / interval_s_ - 1e-9), 1.0, kMostSteps);
  const std::array<std::size_t, 2> horizons{1, static_cast<std::size_t>(steps)};
  const std::size_t last = horizons[1] > 1 ? 1 : 0;
  const std::span<const std::size_t> asked(horizons.data(), last + 1);
  const std::array levels{options_.quantile, 1 - (1 - options_.quantile) / 10};
  const auto requests = requests_->predict(asked, levels);
  const auto isl = isl_->predict(asked, {});
  const auto osl = osl_->predict(asked, {});
  if (!recent_.empty()) recent_.expire(unix_ms, static_cast<std::int64_t>(std::max(kRecentS, 4 * steps * interval_s_) * 1000));
  const auto upper = [&](std::size_t i, std::size_t level, Margin& margin) {
    const double mean = requests[i].mean;
    const double highest = std::max(mean, most(level == 0 ? kOverSeen : kRarelyOverSeen));
    return std::min(highest, margin.smooth(mean, std::clamp(requests[i].quantiles[level], mean, highest)));
  };
  const auto at = [&](std::size_t i, double bound) {
    return TrafficForecast{static_cast<double>(horizons[i]) * interval_s_, requests[i].mean, bound, isl[i].mean, osl[i].mean};
  };
  out.next = at(0, upper(0, 0, margins_[0]));
  out.horizon = at(last, upper(last, 0, margins_[1]));
  out.rare_requests_per_s = std::max(out.horizon->requests_per_s_upper, upper(last, 1, margins_[2]));
  out.reasons.push_back(forecast_reason(*out.horizon, options_.quantile, options_));
  return out;
}

void PoolTrafficForecast::save(StateWriter& writer) const {
  writer.tag("traffic_forecast/2");
  writer.integer(last_unix_ms_);
  writer.integer(seen_ ? 1 : 0);
  writer.integer(values_);
  writer.number(largest_);
  recent_.save(writer);
  for (const Margin& margin : margins_) {
    writer.number(margin.ratio);
    writer.integer(margin.known ? 1 : 0);
  }
  for (const auto* predictor : {&requests_, &isl_, &osl_}) (*predictor)->save(writer);
}

void PoolTrafficForecast::restore(StateReader& reader) {
  reader.tag("traffic_forecast/2");
  last_unix_ms_ = reader.integer();
  seen_ = reader.integer() != 0;
  values_ = std::clamp<std::int64_t>(reader.integer(), 0, kCalibrated);
  largest_ = reader.number();
  recent_.restore(reader);
  for (Margin& margin : margins_) {
    margin.ratio = reader.number();
    margin.known = reader.integer() != 0;
  }
  for (auto* predictor : {&requests_, &isl_, &osl_}) {
    if (!reader.ok()) return;
    if (const auto done = (*predictor)->restore(reader); !done && reader.ok()) reader.reject(done.error().message);
  }
}

}  // namespace flexpert::scaling
