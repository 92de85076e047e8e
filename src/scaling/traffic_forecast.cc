#include "scaling/traffic_forecast.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "scaling/policy_metrics.h"

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kMostGaps = 512;
constexpr double kMostSteps = 1000;

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
  const forecast::PredictorOptions requests{options.predictor, interval_s, true};
  forecast::PredictorOptions lengths = requests;
  if (lengths.name == "mixture") lengths.name = "exponential";
  FLEXPERT_ASSIGN(made.requests_, forecast::make_predictor(requests));
  FLEXPERT_ASSIGN(made.isl_, forecast::make_predictor(lengths));
  FLEXPERT_ASSIGN(made.osl_, forecast::make_predictor(lengths));
  return made;
}

void PoolTrafficForecast::observe(const PoolTraffic& traffic, std::int64_t unix_ms, double max_age_s) {
  const double gap = std::numeric_limits<double>::quiet_NaN();
  if (last_unix_ms_ != 0) {
    const double steps = static_cast<double>(unix_ms - last_unix_ms_) / 1000 / interval_s_;
    const std::int64_t missed = std::clamp<std::int64_t>(std::llround(std::min(steps, 1e6)) - 1, 0, kMostGaps);
    for (std::int64_t i = 0; i < missed; ++i) {
      for (auto* predictor : {&requests_, &isl_, &osl_}) (*predictor)->observe(gap);
    }
  }
  last_unix_ms_ = unix_ms;
  const auto requests = fresh(traffic.requests_per_s, max_age_s);
  seen_ = seen_ || requests.has_value();
  requests_->observe(requests.value_or(gap));
  const bool idle = requests == 0.0;  // nothing came, so nothing is known of its length
  isl_->observe(idle ? gap : fresh(traffic.isl, max_age_s).value_or(gap));
  osl_->observe(idle ? gap : fresh(traffic.osl, max_age_s).value_or(gap));
}

TrafficOutlook PoolTrafficForecast::outlook(std::optional<double> startup_s) const {
  TrafficOutlook out;
  if (!seen_) return out;
  const double startup = startup_s && std::isfinite(*startup_s) && *startup_s >= 0 ? *startup_s : options_.default_startup_s;
  const double steps = std::clamp(std::ceil((startup + interval_s_) / interval_s_ - 1e-9), 1.0, kMostSteps);
  std::array<std::size_t, 2> horizons{1, static_cast<std::size_t>(steps)};
  const std::size_t count = horizons[1] > 1 ? 2 : 1;
  const std::span<const std::size_t> asked(horizons.data(), count);
  const std::array levels{options_.quantile, 1 - (1 - options_.quantile) / 10};
  const auto requests = requests_->predict(asked, levels);
  const auto isl = isl_->predict(asked, {});
  const auto osl = osl_->predict(asked, {});
  const auto at = [&](std::size_t i) {
    return TrafficForecast{static_cast<double>(horizons[i]) * interval_s_, requests[i].mean, std::max(requests[i].mean, requests[i].quantiles[0]),
                           isl[i].mean, osl[i].mean};
  };
  out.next = at(0);
  out.horizon = at(count - 1);
  out.rare_requests_per_s = std::max(out.horizon->requests_per_s_upper, requests[count - 1].quantiles[1]);
  out.reasons.push_back(forecast_reason(*out.horizon, options_.quantile, options_));
  return out;
}

void PoolTrafficForecast::save(StateWriter& writer) const {
  writer.tag("traffic_forecast/1");
  writer.integer(last_unix_ms_);
  writer.integer(seen_ ? 1 : 0);
  for (const auto* predictor : {&requests_, &isl_, &osl_}) (*predictor)->save(writer);
}

void PoolTrafficForecast::restore(StateReader& reader) {
  reader.tag("traffic_forecast/1");
  last_unix_ms_ = reader.integer();
  seen_ = reader.integer() != 0;
  for (auto* predictor : {&requests_, &isl_, &osl_}) {
    if (!reader.ok()) return;
    if (const auto done = (*predictor)->restore(reader); !done && reader.ok()) reader.reject(done.error().message);
  }
}

}  // namespace flexpert::scaling
