// The parts of the planner, one by one: victims, staging, phase ratio, warm pool, sizes, census.
#include <gtest/gtest.h>

#include <cmath>

#include "scaling/phase_ratio.h"
#include "scaling/planner_census.h"
#include "scaling/staging.h"
#include "scaling/vertical_resize.h"
#include "scaling/victims.h"
#include "scaling/warm_pool.h"

namespace flexpert::scaling {
namespace {

PoolInstance instance(const char* id, InstanceState state, std::int64_t since = 0, std::uint32_t in_flight = 0, double tokens = 0) {
  PoolInstance made;
  made.id = InstanceId{id};
  made.state = state;
  made.since_unix_ms = since;
  made.in_flight = in_flight;
  made.remaining_tokens = tokens;
  return made;
}

std::string order(const std::vector<PoolInstance>& instances) {
  std::string text;
  for (const std::size_t i : victims_in_order(instances)) text += instances[i].id.value;
  return text;
}

TEST(Victims, WhatServesLeastGoesFirst) {
  EXPECT_EQ(order({instance("a", InstanceState::kReady), instance("b", InstanceState::kWarm), instance("c", InstanceState::kStarting),
                   instance("d", InstanceState::kFailed), instance("e", InstanceState::kDraining)}),
            "dcba");
}

TEST(Victims, AmongReadyOnesTheLeastWorkThenTheYoungestThenTheId) {
  EXPECT_EQ(order({instance("a", InstanceState::kReady, 5, 3, 900), instance("b", InstanceState::kReady, 5, 9, 100)}), "ba");
  EXPECT_EQ(
      order({instance("a", InstanceState::kReady, 5), instance("b", InstanceState::kReady, 7), instance("c", InstanceState::kReady, 7)}),
      "bca");
}

TEST(Victims, RequestsWithoutATokenCountAreNotTakenForNothing) {
  EXPECT_EQ(order({instance("a", InstanceState::kReady, 5, 4, 0), instance("b", InstanceState::kReady, 5, 1, 50)}), "ba");
  EXPECT_EQ(order({instance("a", InstanceState::kReady, 5, 4, std::nan("")), instance("b", InstanceState::kReady, 5, 1, 50)}), "ba");
}

TEST(Staging, OnlyFreeGpusAreUsedAndTheRestWaits) {
  const std::vector<StagedPool> pools{{2, 0, 3, 1, 4, 99, 0, 0}, {1, 0, 1, 1, 1, 99, 0, 2}};
  const auto starts = stage_starts(pools, 10);
  EXPECT_EQ(starts[0].serving, 1U) << "6 + 1 of 10 are held, 3 are free";
  EXPECT_EQ(starts[0].waiting, 2U);
  EXPECT_EQ(starts[1].warm, 0U) << "nothing warm while something waits";
  EXPECT_EQ(stage_starts(pools, 5)[0].serving, 0U) << "over the budget already";
  EXPECT_EQ(stage_starts(pools, std::nullopt)[0].serving, 3U);
}

TEST(Staging, PrioritiesThenTheSmallestShareComeFirst) {
  const auto by_priority = stage_starts(std::vector<StagedPool>{{1, 0, 0, 0, 3, 99, 0, 0}, {1, 1, 0, 0, 3, 99, 0, 0}}, 4);
  EXPECT_EQ(by_priority[0].serving, 1U);
  EXPECT_EQ(by_priority[1].serving, 3U);
  const auto by_share = stage_starts(std::vector<StagedPool>{{1, 0, 2, 2, 4, 99, 0, 0}, {1, 0, 0, 0, 4, 99, 0, 0}}, 4);
  EXPECT_EQ(by_share[1].serving, 2U);
}

TEST(PhaseRatio, TheOtherSideKeepsTheShareThatTheCappedOneGot) {
  const std::vector<PhasePool> pools{
      {"m", PoolRole::kPrefill, 6, 3, 1, 3}, {"m", PoolRole::kDecode, 12, 12, 1, 8}, {"", PoolRole::kDecode, 9, 9, 1, 9}};
  const auto caps = keep_phase_ratio(pools);
  EXPECT_EQ(caps[0].allowed, 3U);
  EXPECT_EQ(caps[1].allowed, 6U);
  EXPECT_EQ(caps[1].because_of, 0U);
  EXPECT_EQ(caps[2].allowed, 9U);
}

TEST(PhaseRatio, NeverUnderTheMinimumAndWithRoomForRounding) {
  const auto cap = [](std::uint32_t asked, std::uint32_t min, std::uint32_t current) {
    return keep_phase_ratio(
               std::vector<PhasePool>{{"m", PoolRole::kPrefill, 4, 3, 1, 3}, {"m", PoolRole::kDecode, asked, asked, min, current}})[1]
        .allowed;
  };
  EXPECT_EQ(cap(8, 7, 8), 7U);
  EXPECT_EQ(cap(9, 1, 9), 7U) << "6.75: keeps seven";
  EXPECT_EQ(cap(9, 1, 5), 6U) << "6.75: grows to six";
}

TEST(WarmPool, CoversWhatIsRareWithinItsBounds) {
  TrafficOutlook outlook;
  outlook.horizon = TrafficForecast{60, 80, 100, 0, 0};
  outlook.rare_requests_per_s = 145;
  EXPECT_EQ(size_warm_pool({0, 8}, outlook, 4).wanted, 2U) << "145 / 25 an instance is six";
  EXPECT_EQ(size_warm_pool({0, 1}, outlook, 4).wanted, 1U);
  EXPECT_EQ(size_warm_pool({3, 8}, outlook, 4).wanted, 3U);
  EXPECT_EQ(size_warm_pool({2, 8}, {}, 4).wanted, 2U);
  EXPECT_EQ(size_warm_pool({}, outlook, 4).wanted, 0U);
}

TEST(VerticalResize, ChangesWithinBoundsOnFreshFiguresOnly) {
  const VerticalOptions options{1, 16, 100, 4000, 0.85, 0.3};
  PoolInstance busy = instance("a", InstanceState::kReady);
  busy.metrics = {{"cpu", {7.2, 0}}, {"threads", {8, 0}}, {"kv", {0.1, 0}}, {"kv_blocks", {120, 0}}};
  const auto resize = propose_resize(busy, options, 60);
  ASSERT_TRUE(resize);
  EXPECT_EQ(resize->threads, 12U);
  EXPECT_EQ(resize->kv_blocks, 100U);
  EXPECT_EQ(resize->reasons.size(), 2U);
  busy.metrics["cpu"].age_s = 100;
  busy.metrics["kv"].value = std::nan("");
  EXPECT_FALSE(propose_resize(busy, options, 60));
  busy.metrics["threads"].value = 40;
  EXPECT_EQ(propose_resize(busy, options, 60)->threads, 16U) << "outside its bounds";
}

TEST(Census, OrderedInstancesCountBeforeTheyAreSeenAndAreForgottenInTime) {
  PoolRoster roster;
  roster.unseen = {{1'000'000, false}, {1'000'000, true}};
  roster.warm_bound = 1;
  PoolObservation pool;
  pool.instances = {instance("a", InstanceState::kReady, 900'000)};
  roster.tracks[InstanceId{"a"}];
  Census census = take_census(pool, 1'015'000, {}, roster);
  EXPECT_EQ(census.held, 3U);
  EXPECT_EQ(census.current(), 2U);
  EXPECT_EQ(census.warm_bound, 1U);
  pool.instances.push_back(instance("b", InstanceState::kStarting, 1'020'000));
  census = take_census(pool, 1'030'000, {}, roster);
  EXPECT_EQ(census.held, 3U) << "one of them is b";
  census = take_census(pool, 1'100'000, {}, roster);
  EXPECT_EQ(census.held, 2U);
}

TEST(Census, ACrashLoopWithShortSpellsOfReadinessIsGivenUp) {
  PoolRoster roster;
  PoolObservation pool;
  bool given_up = false;
  for (std::int64_t t = 0; t < 400 && !given_up; t += 15) {
    pool.instances = {instance("a",
                               t / 15 % 4 == 3   ? InstanceState::kReady
                               : t / 15 % 2 == 0 ? InstanceState::kFailed
                                                 : InstanceState::kStarting,
                               1000 * t + 1)};
    const Census census = take_census(pool, 1000 * t + 1000, {15, 300}, roster);
    if (!census.overdue.empty()) {
      given_up = true;
      EXPECT_GE(t, 285);
      EXPECT_EQ(starts_allowed(roster, census, 1000 * t + 1000), 0U);
    }
  }
  EXPECT_TRUE(given_up);
}

}  // namespace
}  // namespace flexpert::scaling
