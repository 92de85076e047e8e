#include "placement/expert_placement.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::placement {
namespace {

/// The busiest server's load in one layer.
double busiest(const ExpertPlacementInput& input, const Positions& positions, std::uint32_t layer) {
  std::vector<double> load(input.servers, 0.0);
  for (std::uint32_t e = 0; e < input.geometry.experts; ++e) {
    const std::size_t i = input.geometry.index({layer, e});
    for (const std::uint16_t s : positions[i]) load[s] += input.rows_per_s[i] / static_cast<double>(positions[i].size());
  }
  return *std::max_element(load.begin(), load.end());
}

void expect_valid(const ExpertPlacementInput& input, const ExpertPlacement& placed) {
  ASSERT_EQ(placed.positions.size(), input.geometry.size());
  std::vector<std::uint32_t> used(input.servers, 0);
  std::vector<std::uint32_t> wanted = input.replicas;
  for (const Trim& trim : placed.trimmed) {
    ASSERT_LT(trim.placed, trim.wanted);
    wanted[input.geometry.index(trim.slot)] = trim.placed;
  }
  for (std::size_t i = 0; i < placed.positions.size(); ++i) {
    const auto& list = placed.positions[i];
    ASSERT_EQ(list.size(), wanted[i]) << "slot " << i;
    ASSERT_TRUE(std::is_sorted(list.begin(), list.end()));
    ASSERT_EQ(std::adjacent_find(list.begin(), list.end()), list.end()) << "two replicas on one server";
    for (const std::uint16_t s : list) ++used.at(s);
  }
  for (const std::uint32_t count : used) ASSERT_LE(count, input.slots_per_server);
}

ExpertPlacementInput tiny(std::uint32_t servers) {
  ExpertPlacementInput input;
  input.geometry = {6, 32};
  input.servers = servers;
  input.slots_per_server = 128;
  input.replicas.assign(input.geometry.size(), 1);
  return input;
}

TEST(ExpertPlacement, SpreadsAFreshModelEvenlyWithinEveryLayer) {
  const ExpertPlacementInput input = tiny(2);
  const auto placed = place_experts(input);
  ASSERT_TRUE(placed);
  expect_valid(input, *placed);
  EXPECT_DOUBLE_EQ(placed->imbalance, 1.0);
  EXPECT_EQ(placed->added, 192U);
}

TEST(ExpertPlacement, KeepsEverythingWhenNothingChanged) {
  ExpertPlacementInput input = tiny(3);
  input.current = place_experts(input)->positions;
  const auto again = place_experts(input);
  EXPECT_EQ(again->positions, input.current);
  EXPECT_EQ(again->moved + again->added + again->removed, 0U);
}

TEST(ExpertPlacement, ANewReplicaGoesToAnotherServerAndNothingElseMoves) {
  ExpertPlacementInput input = tiny(4);
  input.current = place_experts(input)->positions;
  input.replicas[5] = 2;
  const auto placed = place_experts(input);
  expect_valid(input, *placed);
  EXPECT_EQ(placed->added, 1U);
  EXPECT_EQ(placed->moved, 0U);
}

TEST(ExpertPlacement, AServerThatJoinsIsGivenWorkWithinTheMovesAllowed) {
  ExpertPlacementInput input = tiny(2);
  input.rows_per_s.assign(input.geometry.size(), 10);
  input.current = place_experts(input)->positions;
  input.servers = 3;
  input.max_moves = 20;
  const auto placed = place_experts(input);
  expect_valid(input, *placed);
  EXPECT_EQ(placed->moved, 20U);
  input.max_moves = 1000;
  const auto all = place_experts(input);
  EXPECT_LE(all->imbalance, 1.2);
  EXPECT_LE(all->moved, 80U);
}

TEST(ExpertPlacement, TrimsTheReplicasThatHelpLeastAndSaysWhy) {
  ExpertPlacementInput input;
  input.geometry = {1, 3};
  input.servers = 2;
  input.slots_per_server = 2;
  input.replicas = {2, 2, 1};
  input.rows_per_s = {100, 10, 1};
  const auto placed = place_experts(input);
  expect_valid(input, *placed);
  ASSERT_EQ(placed->trimmed.size(), 1U);
  EXPECT_EQ(placed->trimmed[0].slot, (ExpertSlot{0, 1}));
  EXPECT_EQ(placed->trimmed[0].reason.code, "few_slots");
}

TEST(ExpertPlacement, MoreReplicasThanServersAreTrimmedToOneOnEach) {
  ExpertPlacementInput input = tiny(2);
  input.replicas[0] = 5;
  const auto placed = place_experts(input);
  expect_valid(input, *placed);
  ASSERT_EQ(placed->trimmed.size(), 1U);
  EXPECT_EQ(placed->trimmed[0].placed, 2U);
  EXPECT_EQ(placed->trimmed[0].reason.code, "few_servers");
}

TEST(ExpertPlacement, WithoutServersEverythingIsLeftToTheModelServer) {
  const ExpertPlacementInput input = tiny(0);
  const auto placed = place_experts(input);
  ASSERT_TRUE(placed);
  expect_valid(input, *placed);
  EXPECT_EQ(placed->trimmed.size(), 192U);
}

TEST(ExpertPlacement, SkewedLoadIsBalancedBetterThanRoundRobin) {
  ExpertPlacementInput input = tiny(4);
  Rng rng(5);
  input.rows_per_s.resize(input.geometry.size());
  for (double& rate : input.rows_per_s) rate = std::exp(3 * rng.uniform());
  const auto placed = place_experts(input);
  Positions round_robin(input.geometry.size());
  for (std::size_t i = 0; i < round_robin.size(); ++i) round_robin[i] = {static_cast<std::uint16_t>(i % 4)};
  for (std::uint32_t layer = 0; layer < 6; ++layer)
    EXPECT_LT(busiest(input, placed->positions, layer), busiest(input, round_robin, layer)) << "layer " << layer;
  EXPECT_LT(placed->imbalance, 1.05);
}

TEST(ExpertPlacement, AnyHistoryOfChangesStaysValidAndIsIdempotent) {
  Rng rng(17);
  for (int round = 0; round < 60; ++round) {
    ExpertPlacementInput input;
    input.geometry = {1 + static_cast<std::uint32_t>(rng.below(4)), 1 + static_cast<std::uint32_t>(rng.below(16))};
    input.slots_per_server = 1 + static_cast<std::uint32_t>(rng.below(40));
    input.servers = 1 + static_cast<std::uint32_t>(rng.below(6));
    input.max_moves = 1000;
    for (int step = 0; step < 10; ++step) {
      const std::uint32_t servers = 1 + static_cast<std::uint32_t>(rng.below(6));
      for (auto& list : input.current) std::erase_if(list, [&](std::uint16_t s) { return s >= servers; });
      input.servers = servers;
      input.replicas.resize(input.geometry.size());
      input.rows_per_s.resize(input.geometry.size());
      for (std::uint32_t& r : input.replicas) r = static_cast<std::uint32_t>(rng.below(9));
      for (double& rate : input.rows_per_s) rate = rng.below(4) == 0 ? 0 : std::exp(4 * rng.uniform());
      const auto placed = place_experts(input);
      ASSERT_TRUE(placed);
      expect_valid(input, *placed);
      input.current = placed->positions;
      const auto again = place_experts(input);
      EXPECT_EQ(again->positions, placed->positions) << "idempotent";
    }
  }
}

TEST(ExpertPlacement, MovesForBalanceAreBounded) {
  Rng rng(23);
  for (int round = 0; round < 50; ++round) {
    ExpertPlacementInput input = tiny(5);
    input.rows_per_s.assign(input.geometry.size(), 1);
    input.current = place_experts(input)->positions;
    for (double& rate : input.rows_per_s) rate = std::exp(4 * rng.uniform());
    input.max_moves = static_cast<std::uint32_t>(rng.below(12));
    const double before = imbalance_of(input.geometry, input.current, input.rows_per_s, input.servers);
    const auto placed = place_experts(input);
    expect_valid(input, *placed);
    EXPECT_LE(placed->moved, input.max_moves);
    EXPECT_LE(placed->imbalance, before + 1e-9);
  }
}

TEST(ExpertPlacement, SizesThatDoNotFitAreErrors) {
  ExpertPlacementInput input = tiny(2);
  input.current.assign(192, {7});
  EXPECT_FALSE(place_experts(input));
  input.current.clear();
  input.replicas.pop_back();
  EXPECT_FALSE(place_experts(input));
}

}  // namespace
}  // namespace flexpert::placement
