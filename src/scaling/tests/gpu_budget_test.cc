#include "scaling/gpu_budget.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace flexpert::scaling {
namespace {

using Counts = std::vector<std::uint32_t>;

std::vector<double> sorted_ratios(const std::vector<BudgetClaim>& claims, const Counts& granted) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    if (claims[i].wanted > 0) ratios.push_back(fair_ratio(claims[i], granted[i]));
  }
  std::sort(ratios.begin(), ratios.end());
  return ratios;
}

/// The best of all splits by the definition, found by trying them all.
void try_all(const std::vector<BudgetClaim>& claims, std::uint32_t left, Counts& granted, Counts& best, std::vector<double>& best_ratios) {
  const std::size_t at = granted.size();
  if (at == claims.size()) {
    const std::vector<double> ratios = sorted_ratios(claims, granted);
    if (best.empty() || ratios > best_ratios || (ratios == best_ratios && granted > best)) {
      best = granted;
      best_ratios = ratios;
    }
    return;
  }
  const BudgetClaim& claim = claims[at];
  for (std::uint32_t n = claim.min; n <= std::max(claim.wanted, claim.min) && n * claim.gpus_per_instance <= left; ++n) {
    granted.push_back(n);
    try_all(claims, left - n * claim.gpus_per_instance, granted, best, best_ratios);
    granted.pop_back();
  }
}

Counts brute_force(const std::vector<BudgetClaim>& claims, std::uint32_t budget) {
  Counts granted;
  Counts best;
  std::vector<double> ratios;
  try_all(claims, budget, granted, best, ratios);
  return best;
}

TEST(GpuBudget, EveryoneGetsWhatItWantsWhenItFits) {
  const std::vector<BudgetClaim> claims{{3, 1, 2, 0, 1}, {4, 0, 1, 0, 1}};
  const BudgetSplit split = split_budget(claims, 10);
  EXPECT_EQ(split.granted, (Counts{3, 4}));
  EXPECT_EQ(split.gpus, 10U);
  EXPECT_TRUE(split.minima_fit);
}

TEST(GpuBudget, ScarceGpusAreSharedInProportionToWhatIsWanted) {
  EXPECT_EQ(split_budget(std::vector<BudgetClaim>{{8, 0, 1, 0, 1}, {4, 0, 1, 0, 1}}, 6).granted, (Counts{4, 2}));
  EXPECT_EQ(split_budget(std::vector<BudgetClaim>{{4, 0, 1, 0, 3}, {4, 0, 1, 0, 1}}, 4).granted, (Counts{3, 1})) << "weights";
}

TEST(GpuBudget, TiesGoToTheEarlierClaim) {
  EXPECT_EQ(split_budget(std::vector<BudgetClaim>{{4, 0, 1, 0, 1}, {4, 0, 1, 0, 1}}, 5).granted, (Counts{3, 2}));
}

TEST(GpuBudget, MinimaComeFirstThenPriorities) {
  const std::vector<BudgetClaim> claims{{5, 1, 1, 0, 1}, {5, 2, 1, 7, 1}, {0, 1, 1, -1, 1}};
  EXPECT_EQ(split_budget(claims, 7).granted, (Counts{1, 5, 1}));
  EXPECT_EQ(split_budget(claims, 4).granted, (Counts{1, 2, 1}));
}

TEST(GpuBudget, MinimaThatDoNotFitAreGrantedByPriority) {
  const std::vector<BudgetClaim> claims{{9, 3, 1, 0, 1}, {9, 3, 1, 1, 1}, {9, 3, 1, 0, 1}, {5, 1, 0, 0, 1}};
  const BudgetSplit split = split_budget(claims, 5);
  EXPECT_FALSE(split.minima_fit);
  EXPECT_EQ(split.granted, (Counts{1, 3, 1, 5}));
  EXPECT_EQ(split.gpus, 5U);
}

TEST(GpuBudget, UnequalInstanceSizesAreSearchedExactly) {
  // The lowest first would take the first claim's only step and leave one GPU idle; the fair split is found instead.
  const std::vector<BudgetClaim> claims{{2, 0, 4, 0, 1}, {3, 0, 3, 0, 1}, {5, 0, 1, 0, 1}};
  for (std::uint32_t budget = 0; budget <= 22; ++budget)
    EXPECT_EQ(split_budget(claims, budget).granted, brute_force(claims, budget)) << budget;
}

TEST(GpuBudget, EqualsBruteForceOnRandomClaims) {
  Rng rng(17);
  const double weights[] = {1, 1, 2, 0.5, 3, 0.7};
  for (int round = 0; round < 1500; ++round) {
    std::vector<BudgetClaim> claims(2 + rng.below(4));
    std::uint32_t minima = 0;
    for (BudgetClaim& claim : claims) {
      claim = {static_cast<std::uint32_t>(rng.below(6)), static_cast<std::uint32_t>(rng.below(3) * rng.below(2)),
               1 + static_cast<std::uint32_t>(rng.below(8)), 0, weights[rng.below(6)]};
      minima += claim.min * claim.gpus_per_instance;
    }
    const std::uint32_t budget = minima + static_cast<std::uint32_t>(rng.below(32));
    const BudgetSplit split = split_budget(claims, budget);
    ASSERT_EQ(split.granted, brute_force(claims, budget)) << "round " << round << ", budget " << budget;
  }
}

TEST(GpuBudget, AThousandPoolsStayWithinTheBudgetAndNobodyIsLeftFarBehind) {
  Rng rng(3);
  std::vector<BudgetClaim> claims(1000);
  for (BudgetClaim& claim : claims)
    claim = {static_cast<std::uint32_t>(rng.below(20)), static_cast<std::uint32_t>(rng.below(2)), 1U << rng.below(5),
             static_cast<int>(rng.below(2)), 1 + rng.uniform()};
  for (const std::uint32_t budget : {100U, 9'000U, 40'000U, 60'000U}) {
    const BudgetSplit split = split_budget(claims, budget);
    std::uint32_t gpus = 0;
    for (std::size_t i = 0; i < claims.size(); ++i) {
      gpus += split.granted[i] * claims[i].gpus_per_instance;
      EXPECT_LE(split.granted[i], std::max(claims[i].wanted, claims[i].min));
    }
    EXPECT_EQ(gpus, split.gpus);
    EXPECT_LE(gpus, budget);
  }
}

TEST(GpuBudget, EnormousCountsNeitherOverflowNorTakeLong) {
  const std::vector<BudgetClaim> claims(50, {4'000'000'000U, 0, 4'000'000'000U, 0, 1});
  const BudgetSplit split = split_budget(claims, 4'100'000'000U);
  EXPECT_EQ(split.granted[0], 1U);
  EXPECT_EQ(split.granted[1], 0U);
}

}  // namespace
}  // namespace flexpert::scaling
