#include "report/pool_tables.h"

#include <gtest/gtest.h>

namespace flexpert::report {
namespace {

ScalePlan example() {
  ScalePlan plan{.cycle = 4, .unix_ms = 0, .gpus_held = 3, .gpus_after = 4, .pools = {}, .conditions = {{"over_budget", "too much", {}}}};
  PoolPlan pool;
  pool.pool.value = "chat";
  pool.current = pool.ready = 2;
  pool.wanted = pool.granted = pool.target = 3;
  pool.actions.push_back({.kind = PoolActionKind::kStart, .instance = {}, .count = 1, .warm = false, .threads = {}, .kv_blocks = {}, .reasons = {}});
  pool.actions.push_back({.kind = PoolActionKind::kResize, .instance = {"chat.0"}, .count = 1, .warm = false, .threads = 2, .kv_blocks = 64, .reasons = {}});
  pool.reasons = {{"sla_ttft", "TTFT needs 3", {{"forecast", 12.5}}}};
  pool.conditions = {{"metric_stale", "isl is old", {}}};
  plan.pools = {pool};
  return plan;
}

TEST(PoolTables, ARowSaysWhereAPoolGoesAndWhy) {
  const std::string text = pool_table(example()).text(200, false);
  EXPECT_NE(text.find("chat"), std::string::npos);
  EXPECT_NE(text.find("start 1, resize chat.0 to 2 threads 64 KV blocks"), std::string::npos) << text;
  EXPECT_NE(text.find("TTFT needs 3"), std::string::npos);
}

TEST(PoolTables, ExplanationsNameReasonsWithNumbersAndWhatIsLacking) {
  const std::vector<std::string> lines = pool_explanations(example());
  ASSERT_GE(lines.size(), 7U);
  EXPECT_EQ(lines[0], "GPUs: 3 held, 4 after this cycle");
  EXPECT_EQ(lines[1], "  ! over_budget: too much");
  EXPECT_EQ(lines[2], "chat: 2 -> 3");
  EXPECT_EQ(lines[5], "  - sla_ttft: TTFT needs 3 (forecast 12.5)");
  EXPECT_EQ(lines[6], "  ! metric_stale: isl is old");
}

}  // namespace
}  // namespace flexpert::report
