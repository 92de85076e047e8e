#include "placement/fixed_replicas.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::placement {
namespace {

/// The busiest server's load in one layer.
double busiest(const FixedReplicas& wanted, const Positions& positions, std::uint32_t layer) {
  std::vector<double> load(wanted.servers, 0.0);
  for (std::uint32_t e = 0; e < wanted.geometry.experts; ++e) {
    const std::size_t i = wanted.geometry.index({layer, e});
    for (const std::uint16_t s : positions[i]) load[s] += wanted.loads[i] / static_cast<double>(positions[i].size());
  }
  return *std::max_element(load.begin(), load.end());
}

void expect_valid(const FixedReplicas& wanted, const FixedPlacement& placed) {
  ASSERT_EQ(placed.positions.size(), wanted.geometry.size());
  std::vector<std::uint32_t> used(wanted.servers, 0);
  for (std::size_t i = 0; i < placed.positions.size(); ++i) {
    const auto& list = placed.positions[i];
    ASSERT_EQ(list.size(), wanted.replicas[i]);
    ASSERT_TRUE(std::is_sorted(list.begin(), list.end()));
    ASSERT_EQ(std::adjacent_find(list.begin(), list.end()), list.end()) << "two replicas on one server";
    for (const std::uint16_t s : list) ++used.at(s);
  }
  for (const std::uint32_t count : used) ASSERT_LE(count, wanted.slots_per_server);
  ASSERT_GE(placed.imbalance, placed.bound - 1e-9);
}

FixedReplicas random_fleet(Rng& rng) {
  FixedReplicas out;
  out.geometry = {1 + static_cast<std::uint32_t>(rng.below(5)), 1 + static_cast<std::uint32_t>(rng.below(16))};
  out.servers = 1 + static_cast<std::uint32_t>(rng.below(6));
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < out.geometry.size(); ++i) {
    out.replicas.push_back(static_cast<std::uint32_t>(rng.below(std::min(out.servers, 3U) + 1)));
    total += out.replicas.back();
    out.loads.push_back(rng.below(6) == 0 ? 0 : std::exp(4 * rng.uniform()));
  }
  out.slots_per_server = (total + out.servers - 1) / out.servers + static_cast<std::uint32_t>(rng.below(4));
  return out;
}

TEST(FixedReplicas, NoLayerGetsBusierAndTheMovesAreBounded) {
  Rng rng(31);
  std::uint32_t moved = 0;
  for (int round = 0; round < 400; ++round) {
    FixedReplicas wanted = random_fleet(rng);
    auto placed = place_fixed_replicas(wanted);
    ASSERT_TRUE(placed) << placed.error().message;
    expect_valid(wanted, *placed);
    wanted.current = placed->positions;
    for (double& load : wanted.loads) load *= std::exp(2 * rng.uniform());
    wanted.max_moves = static_cast<std::uint32_t>(rng.below(20));
    placed = place_fixed_replicas(wanted);
    expect_valid(wanted, *placed);
    EXPECT_EQ(placed->added + placed->removed, 0U);
    ASSERT_LE(placed->moved, wanted.max_moves);
    for (std::uint32_t layer = 0; layer < wanted.geometry.layers; ++layer)
      ASSERT_LE(busiest(wanted, placed->positions, layer), busiest(wanted, wanted.current, layer) * (1 + 1e-12)) << "layer " << layer;
    moved += placed->moved;
  }
  EXPECT_GT(moved, 500U);
}

TEST(FixedReplicas, PlannedAgainChangesNothing) {
  Rng rng(37);
  for (int round = 0; round < 200; ++round) {
    FixedReplicas wanted = random_fleet(rng);
    wanted.max_moves = 1000;
    wanted.tolerance = round % 2 == 0 ? 1 : 1.1;
    for (int step = 0; step < 3; ++step) {
      const auto placed = place_fixed_replicas(wanted);
      ASSERT_TRUE(placed);
      wanted.current = placed->positions;
      ASSERT_EQ(place_fixed_replicas(wanted)->positions, wanted.current);
      for (double& load : wanted.loads) load *= std::exp(2 * rng.uniform());
    }
  }
}

TEST(FixedReplicas, MovesGoWhereTheyGainMost) {
  // Both layers have all load on server 0; the second has more to win.
  FixedReplicas wanted{.geometry = {2, 2}, .replicas = {1, 1, 1, 1}, .loads = {1, 9, 5, 5}, .servers = 2, .slots_per_server = 4,
                       .current = {{0}, {0}, {0}, {0}}, .max_moves = 1};
  const auto placed = place_fixed_replicas(wanted);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->moved, 1U);
  EXPECT_EQ(placed->positions[0].front() + placed->positions[1].front(), 0);
  EXPECT_EQ(placed->positions[2].front() + placed->positions[3].front(), 1);
}

TEST(FixedReplicas, WhereANewReplicaGoesIsFree) {
  FixedReplicas wanted{.geometry = {1, 4}, .replicas = {2, 1, 1, 1}, .loads = {6, 3, 3, 3}, .servers = 3, .slots_per_server = 3,
                       .current = {{0}, {1}, {1}, {2}}, .max_moves = 0};
  const auto placed = place_fixed_replicas(wanted);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->positions[0], (std::vector<std::uint16_t>{0, 2}));
  EXPECT_EQ(placed->moved, 0U);
  EXPECT_EQ(placed->added, 1U);
}

TEST(FixedReplicas, NearlyReachesTheBoundFromNothing) {
  Rng rng(41);
  FixedReplicas wanted;
  wanted.geometry = {12, 64};
  wanted.servers = 8;
  wanted.replicas.assign(wanted.geometry.size(), 1);
  wanted.slots_per_server = 96;
  for (std::size_t i = 0; i < wanted.geometry.size(); ++i) wanted.loads.push_back(std::exp(2 * rng.uniform()));
  const auto placed = place_fixed_replicas(wanted);
  ASSERT_TRUE(placed);
  expect_valid(wanted, *placed);
  EXPECT_LT(placed->imbalance, placed->bound * 1.01);
}

TEST(FixedReplicas, WhatDoesNotFitIsAnErrorThatNamesThePlace) {
  const FixedReplicas good{.geometry = {2, 2}, .replicas = {1, 1, 1, 1}, .loads = {}, .servers = 2, .slots_per_server = 2, .current = {}};
  ASSERT_TRUE(place_fixed_replicas(good));
  FixedReplicas bad = good;
  bad.replicas[3] = 3;
  EXPECT_TRUE(place_fixed_replicas(bad).error().message.contains("layer 1 expert 1"));
  bad.replicas[3] = 2;
  EXPECT_TRUE(place_fixed_replicas(bad).error().message.contains("do not fit"));
  bad = good;
  bad.loads = {1, 1, NAN, 1};
  EXPECT_TRUE(place_fixed_replicas(bad).error().message.contains("layer 1 expert 0"));
  bad = good;
  bad.current = {{0}, {2}, {}, {}};
  EXPECT_TRUE(place_fixed_replicas(bad).error().message.contains("server 2 of 2"));
}

TEST(FixedReplicas, NextToNothingIsNoLoad) {
  FixedReplicas wanted;
  wanted.geometry = {2, 2};
  wanted.replicas = {1, 2, 1, 1};
  wanted.loads = {5e-324, 1e-323, 3, 1};
  wanted.servers = 3;
  wanted.slots_per_server = 2;
  const auto made = place_fixed_replicas(wanted);
  ASSERT_TRUE(made.has_value());
  EXPECT_DOUBLE_EQ(made->imbalance, 2.25) << "the second layer's alone: 3 of 4/3";
  wanted.loads[0] = 1e300;
  EXPECT_FALSE(place_fixed_replicas(wanted));
}

}  // namespace
}  // namespace flexpert::placement
