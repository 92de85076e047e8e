#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/state_text.h"
#include "fleet/decision.h"
#include "fleet/pool_snapshot.h"
#include "forecast/predictor.h"
#include "scaling/policy.h"
#include "scaling/pool_config.h"

namespace flexpert::scaling {

/// What is expected of one pool's traffic, in one cycle.
struct TrafficOutlook {
  std::optional<TrafficForecast> next;     ///< absent before the first observation
  std::optional<TrafficForecast> horizon;
  double rare_requests_per_s = 0;          ///< at the horizon, at a quantile that is passed ten times more rarely
  std::vector<Reason> reasons;             ///< "forecast" with its numbers
};

/// Forecasts requests/s, ISL and OSL of one pool, one value an interval. The horizon is the start-up time that was
/// measured (or the default) plus one interval. Samples that are missing, stale or not finite are gaps: time passes,
/// nothing is learned; a cycle that never came is a gap too. Lengths follow the pool's predictor, except that beside the
/// default mixture they are exponentially smoothed, which costs a hundredth and loses nothing on means.
class PoolTrafficForecast {
 public:
  /// Errors: as make_predictor().
  static Result<PoolTrafficForecast> create(const ForecastOptions& options, double interval_s);
  /// Takes one cycle's figures. Samples older than `max_age_s` are gaps.
  void observe(const PoolTraffic& traffic, std::int64_t unix_ms, double max_age_s);
  [[nodiscard]] TrafficOutlook outlook(std::optional<double> startup_s) const;
  [[nodiscard]] bool seen() const { return seen_; }
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  PoolTrafficForecast(ForecastOptions options, double interval_s) : options_(std::move(options)), interval_s_(interval_s) {}

  ForecastOptions options_;
  double interval_s_;
  std::unique_ptr<forecast::Predictor> requests_;
  std::unique_ptr<forecast::Predictor> isl_;
  std::unique_ptr<forecast::Predictor> osl_;
  std::int64_t last_unix_ms_ = 0;
  bool seen_ = false;
};

}  // namespace flexpert::scaling
