#include "scaling/budget_clamp.h"

#include <gtest/gtest.h>

#include "scaling/planner_easy_mode.h"
#include "scaling/power_budget.h"

namespace flexpert::scaling {
namespace {

using Pair = std::pair<std::int64_t, std::int64_t>;

TEST(BudgetClamp, OverTheCeilingBothSidesShrinkAndStayUnderIt) {
  EXPECT_EQ(clamp_pair({10, 1, 2}, {10, 1, 1}, {-1, 5}), (Pair{2, 3}));
  EXPECT_EQ(clamp_pair({5, 1, 1}, {5, 1, 1}, {-1, 1}), (Pair{0, 0})) << "the minima do not fit";
  EXPECT_EQ(clamp_single({10, 1, 1}, {-1, 4}), 4);
  EXPECT_EQ(clamp_single({5, 1, 3}, {-1, 2}), 0);
}

TEST(BudgetClamp, UnderTheFloorBothSidesGrow) {
  EXPECT_EQ(clamp_pair({1, 1, 1}, {1, 1, 1}, {8, -1}), (Pair{4, 4}));
  EXPECT_EQ(clamp_pair({0, 1, 1}, {0, 1, 1}, {5, -1}), (Pair{3, 2}));
  EXPECT_EQ(clamp_single({0, 1, 2}, {4, 5}), 4);
}

TEST(BudgetClamp, GrowingNeverPassesTheCeiling) {
  for (std::int64_t p = 0; p < 6; ++p) {
    for (std::int64_t d = 0; d < 6; ++d) {
      for (std::int64_t max = 0; max < 24; ++max) {
        for (std::int64_t size = 1; size < 5; ++size) {
          const auto [np, nd] = clamp_pair({p, size, 1}, {d, 2, 1}, {max, max});
          ASSERT_LE(np * size + nd * 2, max);
        }
      }
    }
  }
}

TEST(BudgetClamp, WithoutBoundsOrGpusNothingChanges) {
  EXPECT_EQ(clamp_pair({3, 1, 1}, {5, 1, 1}, {}), (Pair{3, 5}));
  EXPECT_EQ(clamp_pair({3, 0, 1}, {5, 1, 1}, {4, 8}), (Pair{3, 5}));
  EXPECT_EQ(clamp_single({3, 1, 1}, {}), 3);
}

TEST(PowerBudget, NeverPassesTheBudgetNorRaisesAProposal) {
  for (std::int64_t p = 1; p < 8; ++p) {
    for (std::int64_t d = 1; d < 8; ++d) {
      for (std::int64_t budget = 1900; budget < 9000; budget += 350) {
        const PowerPlan plan = apply_power_budget({p, 2, 700, 1}, {d, 2, 1200, 1}, budget);
        ASSERT_LE(*plan.prefill, p);
        ASSERT_LE(*plan.decode, d);
        const std::int64_t moving = std::max<std::int64_t>(*plan.prefill, 2) * 700 + std::max<std::int64_t>(*plan.decode, 2) * 1200;
        ASSERT_LE(projected_watts(plan.prefill, 700, plan.decode, 1200), std::max<std::int64_t>(budget, 3800));
        ASSERT_LE(moving, std::max<std::int64_t>(budget, 3800)) << "while moving";
      }
    }
  }
}

TEST(PowerBudget, ARebalanceThatPeaksOverTheBudgetIsStaged) {
  const PowerPlan plan = apply_power_budget({4, 1, 1000, 1}, {1, 4, 1000, 1}, 5000);
  EXPECT_EQ(plan.prefill, 1);
  EXPECT_EQ(plan.decode, 1);
  EXPECT_EQ(plan.reason, "power_rebalance_staged");
}

TEST(PowerBudget, MinimaThatCannotFitAreNotGrown) {
  const PowerPlan plan = apply_power_budget({4, 1, 700, 2}, {4, 1, 1200, 2}, 100);
  EXPECT_EQ(plan.prefill, 1);
  EXPECT_EQ(plan.decode, 1);
  EXPECT_FALSE(minimum_power_fits(100, {{}, {}, 700, 2}, {{}, {}, 1200, 2}));
  EXPECT_TRUE(minimum_power_fits(2400, {{}, {}, {}, 2}, {{}, {}, 1200, 2}));
}

TEST(EasyMode, OneBusyEngineGrowsAndAllIdleOnesShrink) {
  const std::vector<PrefillPressure> busy{{100, 1000}, {1000, 1000}};
  EXPECT_EQ(easy_prefill_step(busy, EasyModeTarget::kThroughput), 1);
  EXPECT_EQ(easy_prefill_step(std::vector<PrefillPressure>{{99, 1000}}, EasyModeTarget::kThroughput), -1);
  EXPECT_EQ(easy_prefill_step(std::vector<PrefillPressure>{{99, 1000}}, EasyModeTarget::kLatency), 0);
  EXPECT_EQ(easy_decode_step(std::vector<DecodePressure>{{900, 101, 1000}}, EasyModeTarget::kThroughput), 1);
  EXPECT_EQ(easy_decode_step(std::vector<DecodePressure>{{900, 100, 1000}}, EasyModeTarget::kThroughput), 0);
  EXPECT_EQ(easy_decode_step(std::vector<DecodePressure>{{50, 0, 1000}}, EasyModeTarget::kLatency), -1);
  EXPECT_EQ(easy_decode_step({}, EasyModeTarget::kLatency), 0);
}

}  // namespace
}  // namespace flexpert::scaling
