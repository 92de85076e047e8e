#include "scaling/expert_forecast.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "scaling/expert_utilisation.h"

namespace flexpert::scaling {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

ExpertForecast fed(const std::vector<double>& from, double per_second, int windows) {
  ExpertForecast forecast({});
  for (int i = 0; i < windows; ++i) {
    std::vector<double> rates = from;
    for (double& rate : rates) rate += per_second * 5 * i;
    forecast.observe(rates, 5);
  }
  return forecast;
}

UtilisationDecision decide(const std::vector<double>& measured, const std::vector<double>& expected, std::vector<std::uint32_t> replicas) {
  ExpertUtilisationOptions options;
  options.replica_capacity_rows_per_s = 100;
  ExpertUtilisationState state;
  state.rows_per_s = measured;
  const ExpertGeometry geometry{1, static_cast<std::uint32_t>(measured.size())};
  const ExpertPrediction prediction{expected, 300, 0.7, 0.3};
  return decide_replicas(state, options, geometry, {5, 4096, true}, replicas, kNow, &prediction);
}

TEST(ExpertForecast, ARisingLoadIsSeenBeforeItComes) {
  const auto expected = fed({50, 50}, 0.2, 60).predict();
  const double now = 50 + 0.2 * 5 * 59;
  ASSERT_EQ(expected.size(), 2U);
  EXPECT_GT(expected[0], now + 0.2 * 60) << "at least a minute ahead";
  EXPECT_LT(expected[0], now + 0.2 * 300) << "damped";
}

TEST(ExpertForecast, ANoisyConstantLoadIsExpectedToStay) {
  Rng rng(4);
  ExpertForecast forecast({});
  for (int i = 0; i < 2000; ++i) {
    forecast.observe(std::vector<double>{100 * (0.9 + 0.2 * rng.uniform())}, 5);
    if (i > 20) {
      ASSERT_NEAR(forecast.predict()[0], 100, 12);
    }
  }
}

TEST(ExpertForecast, NothingIsKnownBeforeSomeWindowsAndBadRatesAreIgnored) {
  ExpertForecast forecast({});
  for (int i = 0; i < 4; ++i) forecast.observe(std::vector<double>{10.0}, 5);
  EXPECT_TRUE(forecast.predict().empty());
  forecast.observe(std::vector<double>{std::nan("")}, 5);
  forecast.observe(std::vector<double>{-3.0}, 5);
  forecast.observe(std::vector<double>{10.0}, -1);
  EXPECT_DOUBLE_EQ(forecast.predict()[0], 10);
}

TEST(ExpertForecast, SavedAndRestoredItGoesOnAlike) {
  ExpertForecast forecast = fed({5, 20, 80}, 0.1, 30);
  StateWriter writer;
  forecast.save(writer);
  const std::string text = writer.take();
  StateReader reader(text);
  ExpertForecast twin({});
  twin.restore(reader);
  ASSERT_TRUE(reader.ok());
  for (ExpertForecast* each : {&forecast, &twin}) each->observe(std::vector<double>{9, 9, 9}, 3);
  EXPECT_EQ(forecast.predict(), twin.predict());
}

TEST(ExpertForecast, ReplicasComeBeforeTheLoadAndSayPredicted) {
  const auto decision = decide({60, 10}, {150, 10}, {1, 1});
  ASSERT_EQ(decision.actions.size(), 1U);
  EXPECT_EQ(decision.actions[0].to, 3U) << "150 rows/s at 70 a replica";
  EXPECT_EQ(decision.actions[0].reasons[0].code, "predicted");
}

TEST(ExpertForecast, ReplicasGoWhenLittleIsMeasuredAndExpected) {
  const auto decision = decide({100, 100}, {80, 300}, {4, 4});
  EXPECT_EQ(decision.replicas, (std::vector<std::uint32_t>{2, 5})) << "0.25 and 0.2 of four; 0.75 is expected of the other";
  EXPECT_EQ(decision.actions[0].reasons[0].code, "predicted");
}

TEST(ExpertForecast, AnIdleExpertKeepsItsReplicasBeforeLoadComes) {
  const auto decision = decide({40}, {200}, {4});
  EXPECT_TRUE(decision.actions.empty());
  ASSERT_EQ(decision.holds.size(), 1U);
  EXPECT_EQ(decision.holds[0].reason.code, "predicted");
}

TEST(ExpertForecast, OptionsThatWouldFlapAreRefused) {
  EXPECT_TRUE(validate(ExpertForecastOptions{}));
  EXPECT_FALSE(validate(ExpertForecastOptions{.low = 0.4}));
  EXPECT_FALSE(validate(ExpertForecastOptions{.horizon_s = 0}));
  EXPECT_FALSE(validate(ExpertForecastOptions{.high = 1.5}));
}

}  // namespace
}  // namespace flexpert::scaling
