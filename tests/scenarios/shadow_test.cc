#include <gtest/gtest.h>

#include "scaling/pool_planner.h"
#include "scaling/shadow_planner.h"
#include "scenarios/simulated_fleet.h"

namespace flexpert::scenarios {
namespace {

using scaling::ShadowPlanner;
using scaling::ShadowPoolStanding;

scaling::PlannerConfig live_config() {
  scaling::PoolConfig pool;
  pool.id = PoolId{"a"};
  pool.limits = {1, 12, std::nullopt};
  pool.forecast.predictor = "constant";
  pool.policies = {{"utilisation", scaling::CombineRule::kMax, scaling::ThresholdOptions{}}};
  scaling::PlannerConfig config;
  config.gpu_budget = 12;
  config.pools = {pool};
  return config;
}

std::vector<scaling::ShadowOptions> shadow_options() {
  const auto fixed = [](std::uint32_t count) {
    return std::vector<scaling::PolicyConfig>{{"fixed", scaling::CombineRule::kMax, scaling::ManualOptions{count}}};
  };
  return {{"same", {}}, {"peak", {{"a", fixed(10)}}}, {"one", {{"a", fixed(1)}}}};
}

/// Plays eight hours of a load that rises and falls twice.
struct Played {
  Played()
      : planner(std::move(*scaling::PoolPlanner::create(live_config()))),
        shadows(std::move(*ShadowPlanner::create(live_config(), shadow_options()))) {}
  void run(int from, int to, ShadowPlanner* twin = nullptr) {
    for (int cycle = from; cycle < to; ++cycle) {
      const double load = cycle / 480 % 2 == 0 ? 10 : 60;
      const PoolsSnapshot snapshot = fleet.observe({load});
      const ScalePlan plan = planner->plan(snapshot);
      shadows->observe(snapshot, plan);
      if (twin != nullptr) twin->observe(snapshot, plan);
      fleet.apply(plan);
    }
  }
  [[nodiscard]] ShadowPoolStanding of(std::size_t shadow) const { return shadows->standings()[shadow].pools[0]; }

  std::unique_ptr<scaling::PoolPlanner> planner;
  std::unique_ptr<ShadowPlanner> shadows;
  SimulatedFleet fleet{{{.config = live_config().pools[0], .instances = 2, .engine = std::nullopt}}, 12, 15, 1};
};

TEST(Shadows, ScoresTellDearFromScarce) {
  Played played;
  played.run(0, 1920);
  const ShadowPoolStanding same = played.of(0);
  const ShadowPoolStanding peak = played.of(1);
  const ShadowPoolStanding one = played.of(2);
  EXPECT_GT(peak.score.gpu_s, same.score.gpu_s);
  EXPECT_LT(one.score.gpu_s, same.score.gpu_s);
  EXPECT_GT(one.score.shortfall_s, 10 * same.score.shortfall_s + 1000);
  EXPECT_LT(peak.score.shortfall_s, same.score.shortfall_s + 1);
  EXPECT_EQ(one.count, 1U);
  EXPECT_FALSE(same.reasons.empty());
}

TEST(Shadows, TheSamePoliciesScoreLikeTheLivePlanner) {
  Played played;
  played.run(0, 1920);
  const ShadowPoolStanding same = played.of(0);
  EXPECT_NEAR(same.score.gpu_s, same.live.gpu_s, 0.05 * same.live.gpu_s);
  EXPECT_EQ(same.score.changes, same.live.changes);
}

TEST(Shadows, SavedAndRestoredTheyStandAlike) {
  Played played;
  played.run(0, 700);
  auto twin = std::move(*ShadowPlanner::create(live_config(), shadow_options()));
  ASSERT_TRUE(twin->restore(played.shadows->save()));
  played.run(700, 1200, twin.get());
  EXPECT_EQ(twin->save(), played.shadows->save());
  EXPECT_FALSE(twin->restore("shadows/1\n7 "));
}

TEST(Shadows, APoolThatIsNotConfiguredIsRefused) {
  const auto made = ShadowPlanner::create(live_config(), {{"typo", {{"b", {}}}}});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("shadow typo: pool \"b\""), std::string::npos);
}

}  // namespace
}  // namespace flexpert::scenarios
