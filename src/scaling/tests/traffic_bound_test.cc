#include <algorithm>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "scaling/traffic_forecast.h"

namespace flexpert::scaling {
namespace {

/// A pool's forecast, one value a quarter of a minute; instances take five minutes to start.
struct Looking {
  explicit Looking(const char* predictor = "mixture") {
    ForecastOptions options;
    options.predictor = predictor;
    traffic.emplace(std::move(*PoolTrafficForecast::create(options, 15)));
  }
  TrafficOutlook see(double requests_per_s) {
    PoolTraffic seen;
    seen.requests_per_s = MetricSample{requests_per_s, 0};
    return traffic->observe(seen, 300, now += 15'000, 60);
  }

  std::optional<PoolTrafficForecast> traffic;
  std::int64_t now = 1'700'000'000'000;
};

TEST(TrafficBound, OneStepIsNotTakenForTheFirstOfMany) {
  Looking looking;
  Rng rng(5);
  for (int i = 0; i < 240; ++i) static_cast<void>(looking.see(30 * (0.95 + 0.1 * rng.uniform())));
  double highest = 0;
  for (int i = 0; i < 480; ++i) {
    const TrafficOutlook out = looking.see(120 * (0.95 + 0.1 * rng.uniform()));
    ASSERT_GE(out.horizon->requests_per_s_upper, out.horizon->requests_per_s);
    highest = std::max(highest, out.horizon->requests_per_s_upper);
  }
  EXPECT_GE(highest, 120);
  EXPECT_LE(highest, 1.3 * 126) << "of 120 +- 5 %";
}

TEST(TrafficBound, FollowsAMeanThatRises) {
  Looking looking("holt");
  TrafficOutlook out;
  for (int i = 0; i < 400; ++i) out = looking.see(i);
  EXPECT_GE(out.horizon->requests_per_s_upper, 400 + 20);
}

TEST(TrafficBound, SpikesThatComeBackMayComeBack) {
  Looking looking("exponential");
  TrafficOutlook out;
  for (int i = 0; i < 400; ++i) out = looking.see(i % 5 == 0 ? 100 : 10);
  EXPECT_GE(out.horizon->requests_per_s_upper, 60);
}

}  // namespace
}  // namespace flexpert::scaling
