#include "placement/recorder.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/rng.h"

namespace flexpert::placement {
namespace {

constexpr ExpertGeometry kGeometry{.layers = 2, .experts = 4};

void feed(Recorder& recorder, std::uint64_t step, const std::vector<std::uint16_t>& first, const std::vector<std::uint16_t>& second) {
  recorder.begin_step(step);
  recorder.add_layer(0, first, 2);
  recorder.add_layer(1, second, 2);
  recorder.end_step();
}

void feed_random(Recorder& recorder, std::uint64_t step, Rng& rng, std::uint32_t tokens) {
  std::vector<std::uint16_t> experts(tokens * 2);
  recorder.begin_step(step);
  for (std::uint32_t layer = 0; layer < kGeometry.layers; ++layer) {
    for (auto& expert : experts) expert = static_cast<std::uint16_t>(std::min(rng.below(4), rng.below(4)));
    recorder.add_layer(layer, experts, 2);
  }
  recorder.end_step();
}

TEST(Recorder, CountsTheExpertsOfEveryLayer) {
  Recorder recorder(kGeometry, {});
  recorder.start();
  feed(recorder, 1, {0, 1, 0, 2}, {3, 3, 3, 1});
  feed(recorder, 2, {0, 1}, {2, 1});
  const ExpertCounts counts = recorder.counts();
  EXPECT_EQ(counts.count, (std::vector<double>{3, 2, 1, 0, 0, 2, 1, 3}));
  EXPECT_EQ(counts.tokens, 3u);
  EXPECT_EQ(recorder.steps_seen(), 2u);
  EXPECT_TRUE(validate(counts));
}

TEST(Recorder, RecordsNothingBeforeStartOrAfterStop) {
  Recorder recorder(kGeometry, {});
  feed(recorder, 1, {0, 1}, {0, 1});
  EXPECT_EQ(recorder.counts().tokens, 0u);
  EXPECT_EQ(recorder.counts().count, std::vector<double>(8));
  recorder.start();
  feed(recorder, 2, {0, 1}, {0, 1});
  recorder.stop();
  feed(recorder, 3, {0, 1}, {0, 1});
  EXPECT_EQ(recorder.counts().tokens, 1u);
  recorder.start();
  EXPECT_EQ(recorder.counts().tokens, 0u);
}

TEST(Recorder, StatKeepsTheNewestStepsOnly) {
  Recorder recorder(kGeometry, {.buffer_steps = 2});
  recorder.start();
  feed(recorder, 1, {0, 0}, {0, 0});
  feed(recorder, 2, {1, 1}, {1, 1});
  feed(recorder, 3, {2, 2}, {2, 2});
  EXPECT_EQ(recorder.counts().count, (std::vector<double>{0, 2, 2, 0, 0, 2, 2, 0}));
  EXPECT_EQ(recorder.counts().tokens, 2u);
}

TEST(Recorder, AllModesAgreeOverARandomRunWhenEveryStepIsCounted) {
  std::vector<ExpertCounts> seen;
  for (const RecorderMode mode : {RecorderMode::kStat, RecorderMode::kStatApprox, RecorderMode::kPerPass, RecorderMode::kPerToken}) {
    Recorder recorder(kGeometry, {.mode = mode, .buffer_steps = 7, .sample_every = 1});
    recorder.start();
    Rng rng(5);
    for (std::uint64_t step = 0; step < 50; ++step) feed_random(recorder, step, rng, 1 + static_cast<std::uint32_t>(rng.below(9)));
    seen.push_back(recorder.counts());
  }
  for (const ExpertCounts& counts : seen) EXPECT_EQ(counts, seen[0]);
}

TEST(Recorder, ASampleOfTheStepsIsScaledToAllTokens) {
  Recorder recorder(kGeometry, {.mode = RecorderMode::kStatApprox, .buffer_steps = 0, .sample_every = 4});
  Recorder exact(kGeometry, {.buffer_steps = 0});
  recorder.start();
  exact.start();
  Rng rng(9);
  Rng same = rng;
  for (std::uint64_t step = 0; step < 2000; ++step) {
    feed_random(recorder, step, rng, 8);
    feed_random(exact, step, same, 8);
  }
  const ExpertCounts sampled = recorder.counts();
  const ExpertCounts all = exact.counts();
  EXPECT_EQ(sampled.tokens, all.tokens);
  EXPECT_NEAR(std::accumulate(sampled.count.begin(), sampled.count.end(), 0.0),
              std::accumulate(all.count.begin(), all.count.end(), 0.0), 1e-6);
  for (std::size_t i = 0; i < all.count.size(); ++i) EXPECT_NEAR(sampled.count[i] / all.count[i], 1, 0.1);
}

TEST(Recorder, ASampledBufferForgetsOldSteps) {
  Recorder recorder(kGeometry, {.mode = RecorderMode::kStatApprox, .buffer_steps = 8, .sample_every = 4});
  recorder.start();
  for (std::uint64_t step = 0; step < 40; ++step) feed(recorder, step, {0, 0}, {0, 0});
  for (std::uint64_t step = 40; step < 60; ++step) feed(recorder, step, {1, 1}, {1, 1});
  EXPECT_EQ(recorder.counts().count[0], 0);
  EXPECT_GT(recorder.counts().count[1], 0);
}

TEST(Recorder, PerPassKeepsEachStep) {
  Recorder recorder(kGeometry, {.mode = RecorderMode::kPerPass, .buffer_steps = 2});
  recorder.start();
  for (std::uint16_t step = 0; step < 3; ++step) feed(recorder, 10u + step, {step, step}, {3, 3, 3, 3});
  ASSERT_EQ(recorder.steps().size(), 2u);
  EXPECT_EQ(recorder.steps()[0].step, 11u);
  EXPECT_EQ(recorder.steps()[1].count, (std::vector<std::uint32_t>{0, 0, 2, 0, 0, 0, 0, 4}));
  EXPECT_EQ(recorder.steps()[1].tokens, 2u);
  EXPECT_TRUE(recorder.steps()[1].experts.empty());
}

TEST(Recorder, PerTokenKeepsEveryChoiceAndMarksTheMissingOnes) {
  Recorder recorder(kGeometry, {.mode = RecorderMode::kPerToken});
  recorder.start();
  recorder.begin_step(7);
  recorder.add_layer(0, std::vector<std::uint16_t>{0, 1}, 2);
  recorder.add_layer(0, std::vector<std::uint16_t>{2, 9}, 2);
  recorder.add_layer(1, std::vector<std::uint16_t>{3, 2}, 2);
  recorder.end_step();
  const RecordedStep& step = recorder.steps().at(0);
  EXPECT_EQ(step.tokens, 2u);
  EXPECT_EQ(step.experts, (std::vector<std::uint16_t>{0, 1, 2, kNoExpert, 3, 2, kNoExpert, kNoExpert}));
  EXPECT_EQ(step.count, (std::vector<std::uint32_t>{1, 1, 1, 0, 0, 0, 1, 1}));
}

TEST(Recorder, PerTokenForgetsTheOldestTokens) {
  Recorder recorder(kGeometry, {.mode = RecorderMode::kPerToken, .buffer_steps = 0, .max_tokens = 3});
  recorder.start();
  for (std::uint64_t step = 0; step < 5; ++step) feed(recorder, step, {0, 1, 2, 3}, {0, 1, 2, 3});
  EXPECT_EQ(recorder.steps().size(), 1u);
  EXPECT_EQ(recorder.counts().tokens, 2u);
}

TEST(Recorder, WindowsFollowEachOtherWithoutLossOrOverlap) {
  Recorder recorder(kGeometry, {.buffer_steps = 3});
  recorder.start();
  Rng rng(3);
  std::vector<double> sum(kGeometry.size());
  ExpertCounts window;
  for (std::uint64_t step = 0; step < 40; ++step) {
    feed_random(recorder, step, rng, 5);
    if (step % 8 != 7) continue;
    EXPECT_EQ(recorder.window_steps(), 8u);
    recorder.take_window(window);
    EXPECT_EQ(window.tokens, 40u);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += window.count[i];
  }
  EXPECT_EQ(recorder.window_steps(), 0u);
  EXPECT_EQ(std::accumulate(sum.begin(), sum.end(), 0.0), 40 * 5 * 2 * 2);
}

TEST(Recorder, PartsAreWholeStepsOfTheWindow) {
  Recorder recorder(kGeometry, {.part_tokens = 4, .parts = 3});
  recorder.start();
  Rng rng(4);
  RecordedWindow window;
  for (std::uint64_t step = 0; step < 5; ++step) feed_random(recorder, step, rng, 2);
  recorder.take_window(window);
  ASSERT_EQ(window.parts.size(), 2u);
  for (const ExpertCounts& part : window.parts) {
    EXPECT_EQ(part.tokens, 4u);
    EXPECT_EQ(std::accumulate(part.count.begin(), part.count.end(), 0.0), 4 * 2 * 2);
  }
  EXPECT_EQ(window.counts.tokens, 10u);
  for (std::uint64_t step = 0; step < 100; ++step) feed_random(recorder, step, rng, 2);
  recorder.take_window(window);
  EXPECT_EQ(window.parts.size(), 3u);
  recorder.take_window(window);
  EXPECT_TRUE(window.parts.empty());
}

TEST(Recorder, PartsAreAFairSample) {
  Recorder recorder(kGeometry, {.part_tokens = 1, .parts = 10});
  recorder.start();
  RecordedWindow window;
  double late = 0;
  for (int i = 0; i < 200; ++i) {
    for (std::uint16_t step = 0; step < 100; ++step) feed(recorder, step, {static_cast<std::uint16_t>(step / 50), 3}, {0, 1});
    recorder.take_window(window);
    for (const ExpertCounts& part : window.parts) late += part.count[1] / 2000;
  }
  EXPECT_NEAR(late, 0.5, 0.04);
}

TEST(Recorder, AStepBrokenOffCountsNowhere) {
  Recorder recorder(kGeometry, {});
  recorder.start();
  recorder.begin_step(1);
  recorder.add_layer(0, std::vector<std::uint16_t>{0, 1}, 2);
  feed(recorder, 1, {2, 3}, {2, 3});
  recorder.end_step();
  recorder.add_layer(0, std::vector<std::uint16_t>{0, 1}, 2);
  EXPECT_EQ(recorder.counts().count, (std::vector<double>{0, 0, 1, 1, 0, 0, 1, 1}));
  EXPECT_EQ(recorder.steps_seen(), 1u);
}

TEST(Recorder, IgnoresLayersAndExpertsThatTheModelDoesNotHave) {
  Recorder recorder(kGeometry, {});
  recorder.start();
  recorder.begin_step(1);
  recorder.add_layer(2, std::vector<std::uint16_t>{0, 1}, 2);
  recorder.add_layer(1, std::vector<std::uint16_t>{4, kNoExpert}, 2);
  recorder.add_layer(1, std::vector<std::uint16_t>{1}, 0);
  recorder.end_step();
  EXPECT_EQ(recorder.counts().count, std::vector<double>(8));
}

TEST(Recorder, ModesHaveSglangsNames) {
  for (const char* name : {"stat", "stat_approx", "per_pass", "per_token"}) EXPECT_STREQ(name_of(parse_recorder_mode(name).value()), name);
  EXPECT_EQ(parse_recorder_mode("statt").error().message, "unknown recorder mode: \"statt\"; use stat, stat_approx, per_pass or per_token");
}

TEST(Recorder, RefusesSizesThatCannotWork) {
  EXPECT_TRUE(validate(RecorderOptions{}, kGeometry));
  EXPECT_TRUE(validate(RecorderOptions{}, {.layers = 58, .experts = 256}));
  EXPECT_FALSE(validate(RecorderOptions{}, {.layers = 0, .experts = 4}));
  EXPECT_FALSE(validate(RecorderOptions{.sample_every = 0}, kGeometry));
  EXPECT_EQ(validate(RecorderOptions{.buffer_steps = 1'000'000}, {.layers = 58, .experts = 256}).error().message,
            "a buffer of 1000000 steps would take over 1 GiB at 58 layers x 256 experts; at most 18078 steps fit");
}

}  // namespace
}  // namespace flexpert::placement
