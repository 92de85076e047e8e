#include "controller/rebalance.h"

#include <map>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::controller {
namespace {

/// Two layers of eight experts, the first half of each on server a, the rest on server b.
RoutingTable halves() {
  RoutingTable table{7, {2, 8}, {{{"a"}, "unix:/a"}, {{"b"}, "unix:/b"}}, {}};
  for (std::uint16_t i = 0; i < 16; ++i) table.replicas.push_back({static_cast<std::uint16_t>(i % 8 / 4)});
  return table;
}

std::vector<double> skewed() { return {9, 9, 9, 9, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2}; }

RebalanceInput asked(std::vector<double> loads) {
  RebalanceInput input;
  input.trigger = {"asked", "", {}};
  input.loads = std::move(loads);
  input.max_moves = 64;
  return input;
}

double number_of(const Reason& reason, const std::string& name) {
  for (const auto& [key, value] : reason.numbers)
    if (key == name) return value;
  return -1;
}

TEST(Rebalance, MovesReplicasOfTheSkewedLayerOnlyAndSaysWhy) {
  const RebalancePlan plan = plan_rebalance(halves(), 100, asked(skewed()), 1000);
  ASSERT_TRUE(plan.table);
  EXPECT_EQ(plan.report.outcome, RebalanceOutcome::kMoved);
  EXPECT_EQ(plan.table->epoch, 8U);
  EXPECT_NEAR(plan.report.before.balancedness, (20.0 / 36 + 1) / 2, 1e-9);
  EXPECT_DOUBLE_EQ(plan.report.after.balancedness, 1);
  EXPECT_EQ(plan.report.moves, moves_between(halves(), *plan.table));
  EXPECT_EQ(plan.report.bytes, plan.report.moves.size() * 1000);
  for (const ReplicaMove& move : plan.report.moves) EXPECT_EQ(move.slot.layer, 0U);
  EXPECT_EQ(plan.report.reasons[0].code, "rebalanced");
  EXPECT_EQ(plan.report.reasons[1].code, "asked");
  EXPECT_DOUBLE_EQ(number_of(plan.report.reasons[0], "after"), 1);
}

TEST(Rebalance, ATableThatIsEvenEnoughIsLeftAlone) {
  RebalanceInput input = asked(skewed());
  input.threshold = 0.7;
  const RebalancePlan plan = plan_rebalance(halves(), 100, input, 1);
  EXPECT_EQ(plan.report.outcome, RebalanceOutcome::kBalanced);
  EXPECT_FALSE(plan.table);
  EXPECT_EQ(plan.report.reasons[0].code, "balanced");
}

TEST(Rebalance, ASmallGainIsNotWorthAMove) {
  RebalanceInput input = asked(skewed());
  input.least_gain = 0.5;
  const RebalancePlan plan = plan_rebalance(halves(), 100, input, 1);
  EXPECT_EQ(plan.report.outcome, RebalanceOutcome::kSmallGain);
  EXPECT_FALSE(plan.table);
  EXPECT_TRUE(plan.report.moves.empty());
  EXPECT_EQ(plan.report.bytes, 0U);
}

TEST(Rebalance, WithoutLoadsOrMovesThereIsNothingToDo) {
  EXPECT_EQ(plan_rebalance(halves(), 100, asked({}), 1).report.outcome, RebalanceOutcome::kNoLoads);
  EXPECT_EQ(plan_rebalance(halves(), 100, asked(std::vector<double>(16, 0)), 1).report.outcome, RebalanceOutcome::kNoLoads);
  RebalanceInput input = asked(skewed());
  input.max_moves = 0;
  EXPECT_EQ(plan_rebalance(halves(), 100, input, 1).report.outcome, RebalanceOutcome::kNoBetter);
}

TEST(Rebalance, WhereAStepsCostIsKnownMovesMustEarnTheirBytesBack) {
  RebalanceInput input = asked(skewed());
  input.worth = {&placement::StepCost::deepseek_v3_prefill(), 2 * 8192, 1000, 1e9};
  const RebalancePlan pays = plan_rebalance(halves(), 100, input, 1000);
  EXPECT_EQ(pays.report.outcome, RebalanceOutcome::kMoved);
  EXPECT_GT(number_of(pays.report.reasons[2], "saving_ms"), number_of(pays.report.reasons[2], "cost_ms"));
  const RebalancePlan heavy = plan_rebalance(halves(), 100, input, std::uint64_t{1} << 50);
  EXPECT_EQ(heavy.report.outcome, RebalanceOutcome::kNotWorth);
  EXPECT_EQ(heavy.report.reasons[2].code, "does_not_pay");
  EXPECT_FALSE(heavy.table);
}

TEST(Rebalance, KeepsItsPromisesOnAnyTableAndLoads) {
  Rng rng(11);
  for (int round = 0; round < 200; ++round) {
    const auto servers = static_cast<std::uint16_t>(2 + rng.below(4));
    RoutingTable table{1, {3, 12}, {}, {}};
    for (std::uint16_t s = 0; s < servers; ++s) table.endpoints.push_back({{fmt::format("s{}", s)}, fmt::format("unix:/{}", s)});
    for (int slot = 0; slot < 36; ++slot) {
      std::vector<std::uint16_t> list;
      for (std::uint16_t s = 0; s < servers; ++s)
        if (rng.below(3) == 0) list.push_back(s);
      table.replicas.push_back(list);
    }
    RebalanceInput input = asked({});
    for (int slot = 0; slot < 36; ++slot) input.loads.push_back(rng.uniform() * rng.uniform() * 100);
    input.max_moves = static_cast<std::uint32_t>(rng.below(20));
    const RebalancePlan plan = plan_rebalance(table, 36, input, 1);
    if (!plan.table) continue;
    ASSERT_TRUE(validate(*plan.table));
    ASSERT_LE(plan.report.moves.size(), input.max_moves);
    ASSERT_GT(plan.report.gain(), 0);
    for (std::size_t slot = 0; slot < 36; ++slot) ASSERT_EQ(plan.table->replicas[slot].size(), table.replicas[slot].size());
    for (const ReplicaMove& move : plan.report.moves) ASSERT_TRUE(!move.from.value.empty() && !move.to.value.empty());
    for (std::size_t l = 0; l < 3; ++l)
      ASSERT_LE(plan.report.after.layers[l].max_load, plan.report.before.layers[l].max_load * (1 + 1e-9));
  }
}

TEST(TableBalance, MovesAreWhatTurnsOneTableIntoTheOther) {
  const RoutingTable before = halves();
  RoutingTable after = before;
  after.endpoints = {{{"b"}, "unix:/b"}, {{"c"}, "unix:/c"}};  // a is gone, and numbers have changed
  for (auto& list : after.replicas) list = {static_cast<std::uint16_t>(list[0] == 0 ? 1 : 0)};
  after.replicas[5] = {0, 1};
  const auto moves = moves_between(before, after);
  std::map<std::pair<std::string, std::string>, int> kinds;
  for (const ReplicaMove& move : moves) ++kinds[{move.from.value, move.to.value}];
  EXPECT_EQ(kinds[std::pair("a", "c")], 8);
  EXPECT_EQ(kinds[std::pair("", "c")], 1);
  EXPECT_EQ(moves.size(), 9U);
  EXPECT_EQ(arrivals(moves), 9U);
}

TEST(TableBalance, WhatTheModelServerComputesItselfDoesNotCount) {
  RoutingTable table = halves();
  std::vector<double> loads = skewed();
  for (int i = 0; i < 3; ++i) table.replicas[static_cast<std::size_t>(i)].clear();
  EXPECT_NEAR(balance_of(table, loads).layers[0].balancedness(), (13.0 / 2) / 9, 1e-9);
  EXPECT_EQ(balance_of(RoutingTable{}, loads).layers.size(), 0U);
}

TEST(TableBalance, RowsThatServersComputedAreComparedPerLayer) {
  const Balance balance = balance_of_rows({{10, 30}, {20, 20}, {0, 0}});
  EXPECT_NEAR(balance.balancedness, (20.0 / 30 + 1) / 2, 1e-9);
  EXPECT_EQ(balance.worst_layer, 0U);
  EXPECT_EQ(balance_of_rows({}).layers.size(), 0U);
}

}  // namespace
}  // namespace flexpert::controller
