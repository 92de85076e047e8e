#pragma once

#include <array>
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
#include "scaling/stabilise.h"

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
/// nothing is learned; a cycle that never came is a gap too. The upper bound over the mean is smoothed (as a ratio, over
/// some 120 values), because a bound that wobbles would start and stop instances; it is no more than the largest value seen
/// until 60 were, because before that it is a guess, and later no more than a quarter over the largest of the last hour (or
/// four horizons) or the mean: one step of traffic is as large an error at every horizon that spans it, and would have the
/// pool sized for several more such steps. Lengths follow the pool's predictor, except that beside the default
/// mixture they are exponentially smoothed: they are means already, and move slowly. A trace in the options counts as
/// observed before the first cycle: its newest values at the interval's step, and where it says when it ended, the time of
/// the day since then as gaps. There is still no forecast before the first live value.
class PoolTrafficForecast {
 public:
  /// Errors: as make_predictor().
  static Result<PoolTrafficForecast> create(const ForecastOptions& options, double interval_s);
  /// Takes one cycle's figures and looks ahead. Samples older than `max_age_s` are gaps.
  TrafficOutlook observe(const PoolTraffic& traffic, std::optional<double> startup_s, std::int64_t unix_ms, double max_age_s);
  [[nodiscard]] bool seen() const { return seen_; }
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  /// The bound at one level over the mean, smoothed.
  struct Margin {
    double ratio = 1;
    bool known = false;
    double smooth(double mean, double bound);
  };
  Result<void> warm_start(const LoadTrace& trace);
  void pass_since_trace(std::int64_t unix_ms);
  void count(double requests_per_s);
  [[nodiscard]] double most(double over_seen) const;
  void take(const PoolTraffic& traffic, std::int64_t unix_ms, double max_age_s);

  PoolTrafficForecast(ForecastOptions options, double interval_s) : options_(std::move(options)), interval_s_(interval_s) {}

  ForecastOptions options_;
  double interval_s_;
  std::unique_ptr<forecast::Predictor> requests_;
  std::unique_ptr<forecast::Predictor> isl_;
  std::unique_ptr<forecast::Predictor> osl_;
  std::int64_t last_unix_ms_ = 0;
  bool seen_ = false;
  std::int64_t values_ = 0;   ///< observed, up to the count from which bounds are calibrated
  double largest_ = 0;        ///< of those
  WindowMaximum recent_;      ///< thousandths of requests/s
  std::array<Margin, 3> margins_;  ///< next, horizon, rare at the horizon
};

}  // namespace flexpert::scaling
