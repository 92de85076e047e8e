#include "placement/replay.h"

#include <gtest/gtest.h>

#include <set>

#include "base/rng.h"
#include "placement/replay_start.h"
#include "placement/replay_stream.h"

namespace flexpert::placement {
namespace {

/// Requests of `tokens` tokens that choose top-2 of 8 experts in 2 layers, near an expert that the topic prefers.
RoutingTrace made_trace(const std::vector<std::string>& topics, std::uint32_t requests, std::uint32_t tokens, std::uint64_t seed) {
  RoutingTrace trace{.geometry = {.layers = 2, .experts = 8}, .top_k = 2, .experts = {}, .requests = {}};
  Rng rng(seed);
  for (const std::string& topic : topics)
    for (std::uint32_t r = 0; r < requests; ++r) {
      trace.requests.push_back({.topic = topic, .category = "", .first_token = trace.tokens(), .tokens = tokens});
      for (std::uint32_t i = 0; i < 2 * tokens; ++i) {
        const auto first = (static_cast<std::uint64_t>(topic[0]) + std::min(rng.below(8), rng.below(8))) % 8;
        trace.experts.push_back(static_cast<std::uint8_t>(first));
        trace.experts.push_back(static_cast<std::uint8_t>((first + 1 + rng.below(7)) % 8));
      }
    }
  return trace;
}

ReplayOptions small() {
  ReplayOptions options;
  options.devices = 4;
  options.slots_per_device = 3;
  options.window_tokens = 512;
  options.concurrent = 16;
  return options;
}

TEST(ReplayStream, PlaysEveryTokenOnceTopicAfterTopic) {
  const RoutingTrace trace = made_trace({"a", "b"}, 5, 7, 1);
  ReplayStream stream(trace, 2);
  std::set<std::uint64_t> seen;
  while (const ReplayStep* step = stream.next()) {
    EXPECT_LE(step->tokens.size(), 2u);
    for (const std::uint64_t token : step->tokens) {
      EXPECT_TRUE(seen.insert(token).second);
      EXPECT_EQ(*step->topic, token < 35 ? "a" : "b");
    }
  }
  EXPECT_EQ(seen.size(), 70u);
}

TEST(ReplayStream, AFinishedRequestIsReplacedByTheNext) {
  RoutingTrace trace = made_trace({"a"}, 3, 2, 1);
  trace.requests[1].tokens = 1;
  trace.requests[2] = {.topic = "a", .category = "", .first_token = 3, .tokens = 3};
  ReplayStream stream(trace, 2);
  std::vector<std::vector<std::uint64_t>> steps;
  while (const ReplayStep* step = stream.next()) steps.push_back(step->tokens);
  EXPECT_EQ(steps, (std::vector<std::vector<std::uint64_t>>{{0, 2}, {1, 3}, {4}, {5}}));
}

TEST(Replay, BalancesBetterThanNothingWithFewMoves) {
  const auto report = replay(made_trace({"a", "d", "a"}, 40, 60, 2), small());
  ASSERT_TRUE(report) << report.error().message;
  const ReplaySummary summary = summary_of(*report);
  EXPECT_GT(summary.steady, summary.steady_none + 0.05);
  EXPECT_GE(summary.steady_ideal, summary.steady - 1e-9);
  EXPECT_LT(summary.moves, summary.replan_moves / 2);
  EXPECT_LE(summary.below_none, 1u);
  EXPECT_EQ(summary.topics.size(), 3u);
}

TEST(Replay, WindowsDependOnEarlierTokensOnly) {
  const RoutingTrace whole = made_trace({"a", "d"}, 40, 60, 3);
  RoutingTrace part = whole;
  part.requests.resize(40);
  const auto all = replay(whole, small());
  const auto first = replay(part, small());
  ASSERT_TRUE(all && first);
  ASSERT_GE(first->windows.size(), 4u);
  for (std::size_t i = 0; i + 1 < first->windows.size(); ++i) {
    EXPECT_EQ(all->windows[i].balancedness, first->windows[i].balancedness);
    EXPECT_EQ(all->windows[i].moves, first->windows[i].moves);
  }
}

TEST(Replay, AWindowBelongsToTheTopicOfMostOfItsTokens) {
  const auto report = replay(made_trace({"a", "d"}, 10, 30, 4), small());
  ASSERT_TRUE(report);
  ASSERT_EQ(report->windows.size(), 2u);
  EXPECT_EQ(report->windows[0].topic, "a");
  EXPECT_EQ(report->windows[1].topic, "d");
  EXPECT_TRUE(report->windows[1].topic_changed);
  EXPECT_FALSE(report->windows[1].steady);
}

TEST(Replay, PlansForTheDispatchThatIsUsed) {
  const RoutingTrace trace = made_trace({"a", "d"}, 40, 60, 6);
  ReplayOptions options = small();
  options.dispatch = DispatchPolicy::kRoundRobin;
  const auto even = replay(trace, options);
  options.rebalance.splits_freely = false;
  const auto asked = replay(trace, options);
  ASSERT_TRUE(even && asked);
  for (std::size_t i = 0; i < even->windows.size(); ++i) EXPECT_EQ(even->windows[i].balancedness, asked->windows[i].balancedness);
  EXPECT_GT(summary_of(*even).steady, summary_of(*even).steady_none);
}

TEST(Replay, RefusesWhatCannotBePlayed) {
  const RoutingTrace trace = made_trace({"a"}, 2, 10, 5);
  ReplayOptions options = small();
  options.slots_per_device = 1;
  EXPECT_EQ(replay(trace, options).error().message, "replay: 4 devices x 1 slots are fewer than the model's 8 experts");
  options = small();
  options.concurrent = 0;
  EXPECT_FALSE(replay(trace, options));
  EXPECT_FALSE(replay({}, small()));
  RoutingTrace wrong = trace;
  wrong.requests[0].tokens = 1000;
  EXPECT_FALSE(replay(wrong, small()));
}

TEST(RingLayout, IsNowhereWorseThanNoBalancing) {
  Rng rng(4);
  for (int i = 0; i < 50; ++i) {
    const auto devices = static_cast<std::uint32_t>(2 + rng.below(7));
    const ExpertGeometry geometry{.layers = 2, .experts = devices + static_cast<std::uint32_t>(rng.below(20))};
    const std::uint32_t slots = (geometry.experts + devices - 1) / devices + static_cast<std::uint32_t>(rng.below(3));
    const ExpertCluster cluster = ExpertCluster::uniform(devices, 1, slots);
    ExpertCounts counts{.geometry = geometry, .count = {}, .tokens = 1000};
    for (std::size_t k = 0; k < geometry.size(); ++k) counts.count.push_back(rng.exponential(100));
    const ExpertLayout ring = ring_layout(geometry, cluster);
    const ExpertLayout bare = bare_layout(geometry, devices);
    ASSERT_TRUE(validate(ring)) << validate(ring).error().message;
    EXPECT_GE(dispatched_balance(ring, cluster, std::span(&counts, 1)).balancedness,
              dispatched_balance(bare, cluster_of(bare), std::span(&counts, 1)).balancedness - 1e-9);
  }
}

TEST(ReplaySummary, CountsRecoveryFromTheChange) {
  ReplayReport report;
  for (const double balancedness : {0.5, 0.9, 0.6, 0.7, 0.95}) {
    ReplayWindow window;
    window.topic = report.windows.size() < 2 ? "a" : "b";
    window.topic_changed = report.windows.empty() || report.windows.back().topic != window.topic;
    window.steady = !window.topic_changed;
    window.balancedness = balancedness;
    window.none = 0.65;
    report.windows.push_back(window);
  }
  const ReplaySummary summary = summary_of(report, 0.88);
  EXPECT_EQ(summary.topics[0].recovered_after, 2u);
  EXPECT_EQ(summary.topics[1].recovered_after, 3u);
  EXPECT_NEAR(summary.topics[1].balancedness, 0.75, 1e-12);
  EXPECT_EQ(summary.below_none, 1u);
  EXPECT_NEAR(summary.steady, (0.9 + 0.7 + 0.95) / 3, 1e-12);
}

}  // namespace
}  // namespace flexpert::placement
