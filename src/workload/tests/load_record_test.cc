#include <gtest/gtest.h>

#include "workload/load_record.h"

namespace flexpert::workload {
namespace {

LoadRecord two_phases() {
  LoadRecord record;
  for (int i = 0; i < 100; ++i) record.add_itl({.at_s = i * 0.1, .ms = i < 50 ? 40.0 : 10.0, .phase = 0});
  for (int i = 0; i < 100; ++i) record.add_itl({.at_s = 10 + i * 0.1, .ms = 5, .phase = 1});
  record.add_ttft({.at_s = 0.5, .ms = 100, .phase = 0});
  record.add_ttft({.at_s = 12, .ms = 50, .phase = 1});
  record.add_outcome({.phase = 0, .finished_at_s = 9, .tokens = 101, .failure = ""});
  record.add_outcome({.phase = 1, .finished_at_s = 15, .tokens = 40, .failure = "the stream broke off"});
  record.add_outcome({.phase = 1, .finished_at_s = 19, .tokens = 60, .failure = ""});
  record.add_not_sent(16, 1);
  return record;
}

TEST(LoadRecord, CountsWholeRunAndPhases) {
  const LoadRecord record = two_phases();
  const LoadFigures all = record.figures();
  EXPECT_EQ(all.requests, 3U);
  EXPECT_EQ(all.failed, 1U);
  EXPECT_EQ(all.not_sent, 1U);
  EXPECT_EQ(all.tokens, 201U);
  EXPECT_EQ(all.itl_samples, 200U);
  EXPECT_EQ(record.figures({.phase = 0}).requests, 1U);
  EXPECT_EQ(record.figures({.phase = 0}).failed, 0U);
  EXPECT_EQ(record.figures({.phase = 1}).itl_p95_ms, 5);
  EXPECT_EQ(record.failures().at("the stream broke off"), 1U);
}

TEST(LoadRecord, SplitsAPhaseAtAMoment) {
  const LoadRecord record = two_phases();
  EXPECT_EQ(record.figures({.phase = 0, .until_s = 5.0}).itl_p95_ms, 40);
  EXPECT_EQ(record.figures({.phase = 0, .from_s = 5.0}).itl_p95_ms, 10);
  EXPECT_EQ(record.figures({.from_s = 100.0}).itl_p95_ms, 0);
}

TEST(LoadRecord, TokenRateCountsFirstAndLaterTokens) {
  const LoadRecord record = two_phases();
  EXPECT_NEAR(record.tokens_per_s(10, 5), 10, 0.5);
  EXPECT_NEAR(record.tokens_per_s(1, 1), 12, 0.5);
  EXPECT_EQ(record.tokens_per_s(100, 5), 0);
}

}  // namespace
}  // namespace flexpert::workload
