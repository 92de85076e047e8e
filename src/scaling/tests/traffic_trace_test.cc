#include <cmath>
#include <memory>
#include <numbers>

#include <gtest/gtest.h>

#include "scaling/pool_planner.h"
#include "scaling/traffic_forecast.h"

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kStartMs = 1'700'000'000'000;

ForecastOptions with_trace(LoadTrace trace, const char* predictor = "holt") {
  ForecastOptions options;
  options.predictor = predictor;
  options.trace = std::make_shared<const LoadTrace>(std::move(trace));
  return options;
}

TrafficOutlook first_look(const ForecastOptions& options, double interval_s, double requests_per_s, std::int64_t unix_ms = kStartMs) {
  auto traffic = PoolTrafficForecast::create(options, interval_s);
  EXPECT_TRUE(traffic) << (traffic ? "" : traffic.error().message);
  PoolTraffic seen;
  seen.requests_per_s = MetricSample{requests_per_s, 0};
  return traffic->observe(seen, 60, unix_ms, 60);
}

TEST(TrafficTrace, CountsAsSeenBeforeTheFirstCycle) {
  LoadTrace rising{{}, 15, 1, std::nullopt};
  for (int i = 0; i < 200; ++i) rising.values.push_back(i);
  EXPECT_GT(first_look(with_trace(rising), 15, 200).horizon->requests_per_s, 203);
  EXPECT_NEAR(first_look(with_trace({{7}, 15, 1, std::nullopt}), 15, 200).horizon->requests_per_s, 200, 200);
  rising.scale = 0.1;
  EXPECT_NEAR(first_look(with_trace(rising), 15, 20).horizon->requests_per_s, 20.5, 0.3);
}

TEST(TrafficTrace, IsBroughtToThePlannersInterval) {
  LoadTrace minutes{{}, 60, 1, std::nullopt};
  for (int i = 0; i < 300; ++i) minutes.values.push_back(100 + 10 * std::sin(i / 40.0));
  EXPECT_NEAR(first_look(with_trace(minutes, "exponential"), 15, 108).horizon->requests_per_s, 108, 5);
  EXPECT_NEAR(first_look(with_trace(minutes, "exponential"), 300, 108).horizon->requests_per_s, 108, 12);
}

TEST(TrafficTrace, AloneIsNoForecast) {
  auto traffic = PoolTrafficForecast::create(with_trace({std::vector<double>(100, 50), 15, 1, std::nullopt}), 15);
  ASSERT_TRUE(traffic);
  EXPECT_FALSE(traffic->observe({}, 60, kStartMs, 60).horizon) << "nothing live was seen";
}

TEST(TrafficTrace, KeepsItsHoursWhereItSaysWhenItEnded) {
  LoadTrace days{{}, 900, 1, std::nullopt};
  for (int i = 0; i < 96 * 4; ++i) days.values.push_back(100 + 80 * std::sin(2 * std::numbers::pi * i / 96));
  days.end_unix_s = kStartMs / 1000.0 - 86'400 - 12 * 900;  // a day and three hours ago
  const double now = 100 + 80 * std::sin(2 * std::numbers::pi * 12 / 96);
  const double later = 100 + 80 * std::sin(2 * std::numbers::pi * 14 / 96);
  EXPECT_NEAR(first_look(with_trace(days, "seasonal_naive"), 900, now).horizon->requests_per_s, later, 8);
}

TEST(TrafficTrace, WhatIsNoAmountIsAGapAndLongTracesAreCut) {
  LoadTrace odd{std::vector<double>(200'000, 30), 1, 1, std::nullopt};
  for (std::size_t i = 0; i < odd.values.size(); i += 3) odd.values[i] = i % 2 == 0 ? std::nan("") : 1e300;
  EXPECT_NEAR(first_look(with_trace(odd, "exponential"), 15, 30).horizon->requests_per_s, 30, 1);
}

TEST(TrafficTrace, IsOfNoImportanceOnceAStateIsRestored) {
  PlannerConfig config;
  config.pools.resize(1);
  config.pools[0].id = PoolId{"a"};
  config.pools[0].forecast = with_trace({std::vector<double>(100, 50), 15, 1, 1.0}, "kalman");
  const auto one = *PoolPlanner::create(config);
  PoolsSnapshot snapshot{1, kStartMs, std::nullopt, {}};
  snapshot.pools.push_back({PoolId{"a"}, {1, 8, std::nullopt}, {}, {}, {}, std::nullopt});
  static_cast<void>(one->plan(snapshot));
  config.pools[0].forecast = with_trace({std::vector<double>(10, 1), 15, 1, std::nullopt}, "kalman");
  const auto two = *PoolPlanner::create(config);
  ASSERT_TRUE(two->restore(one->save()));
  EXPECT_EQ(two->save(), one->save());
}

TEST(TrafficTrace, OneThatCannotBeUsedIsRefusedByName) {
  PlannerConfig config;
  config.pools.resize(1);
  config.pools[0].id = PoolId{"a"};
  const auto message_of = [&](LoadTrace trace) {
    config.pools[0].forecast = with_trace(std::move(trace));
    const auto checked = validate(config);
    return checked ? std::string() : checked.error().message;
  };
  EXPECT_EQ(message_of({{}, 15, 1, std::nullopt}).substr(0, 24), "pools[0].forecast.trace:");
  EXPECT_EQ(message_of({{1}, 0, 1, std::nullopt}).substr(0, 30), "pools[0].forecast.trace_step_s");
  EXPECT_EQ(message_of({{1}, 1, std::nan(""), std::nullopt}).substr(0, 29), "pools[0].forecast.trace_scale");
  EXPECT_EQ(message_of({{1}, 1, 1, std::nullopt}), "");
}

}  // namespace
}  // namespace flexpert::scaling
