#include "codec/pool_snapshot_json.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "codec/journal_records.h"
#include "codec/scale_plan_json.h"

namespace flexpert::codec {
namespace {

PoolsSnapshot example() {
  PoolsSnapshot snapshot{.cycle = 7, .unix_ms = 1'700'000'000'123, .gpu_budget = 8, .pools = {}};
  PoolObservation pool;
  pool.pool.value = "chat";
  pool.limits = {1, 8, 3};
  PoolInstance instance{.id = {"chat.1"}, .state = InstanceState::kDraining, .since_unix_ms = 5, .in_flight = 2, .queued = 1, .remaining_tokens = 0.1, .metrics = {}};
  instance.metrics["cpu"] = {0.7, 1.5};
  pool.instances = {instance};
  pool.traffic.requests_per_s = MetricSample{1.0 / 3, 0};
  pool.traffic.queued = MetricSample{0, 0.25};
  pool.metrics["weird \"name\""] = {std::numeric_limits<double>::infinity(), -0.0};
  pool.startup_s = 12.5;
  snapshot.pools = {pool};
  return snapshot;
}

TEST(PoolSnapshotJson, ComesBackToTheBit) {
  const std::string text = encode(example());
  const auto back = decode_pools_snapshot(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), text);
  EXPECT_EQ(back->pools[0].traffic.requests_per_s->value, 1.0 / 3);
  EXPECT_TRUE(std::signbit(back->pools[0].metrics.begin()->second.age_s));
  EXPECT_EQ(back->pools[0].limits.manual, 3U);
  EXPECT_FALSE(back->pools[0].traffic.ttft_s);
}

TEST(PoolSnapshotJson, AnyDoubleComesBack) {
  Rng rng(3);
  for (int i = 0; i < 2000; ++i) {
    PoolsSnapshot snapshot = example();
    const std::uint64_t bits = rng.next();
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    snapshot.pools[0].startup_s = value;
    const auto back = decode_pools_snapshot(encode(snapshot));
    ASSERT_TRUE(back) << back.error().message;
    if (std::isnan(value)) EXPECT_TRUE(std::isnan(*back->pools[0].startup_s));
    else EXPECT_EQ(std::memcmp(&*back->pools[0].startup_s, &value, sizeof value), 0) << value;
  }
}

TEST(PoolSnapshotJson, MistakesNameTheField) {
  const auto error_of = [](const char* text) { return decode_pools_snapshot(text).error().message; };
  EXPECT_EQ(error_of("[]"), "snapshot of pools: must be a JSON object");
  EXPECT_EQ(error_of(R"({"cycle":1})"), "snapshot of pools: unix_ms: missing");
  EXPECT_EQ(error_of(R"({"cycle":1,"unix_ms":2,"pools":[{"pool":"a","limits":{"min":-1,"max":2},"instances":[]}]})"),
            "snapshot of pools: pools[0].limits.min: must be an integer from 0 to 4294967295");
  EXPECT_EQ(error_of(R"({"cycle":1,"unix_ms":2,"pools":[{"pool":"a","limits":{"min":1,"max":2},"instances":[{"id":"x","state":"odd"}]}]})"),
            "snapshot of pools: pools[0].instances[0].state: unknown: \"odd\"");
  EXPECT_EQ(error_of(R"({"cycle":1,"unix_ms":2,"pools":[{"pool":"a","limits":{"min":1,"max":2},"instances":[],"traffic":{"rps":{"value":1,"age_s":1}}}]})"),
            "snapshot of pools: pools[0].traffic.rps: unknown");
}

TEST(ScalePlanJson, ComesBackToTheBit) {
  ScalePlan plan{.cycle = 3, .unix_ms = 9, .gpus_held = 4, .gpus_after = 5, .pools = {}, .conditions = {{"over_budget", "text", {{"gpus", 0.1}}}}};
  PoolPlan pool{.pool = {"a"}, .current = 1, .ready = 1, .wanted = 2, .granted = 2, .target = 2, .warm = 0, .actions = {}, .reasons = {{"sla_ttft", "x", {}}}, .conditions = {}};
  pool.actions.push_back({.kind = PoolActionKind::kResize, .instance = {"a.0"}, .count = 1, .warm = false, .threads = 2, .kv_blocks = {}, .reasons = {}});
  pool.actions.push_back({.kind = PoolActionKind::kStart, .instance = {}, .count = 3, .warm = true, .threads = {}, .kv_blocks = {}, .reasons = {}});
  plan.pools = {pool};
  const auto back = decode_scale_plan(encode(plan));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, plan);
}

TEST(JournalRecords, AStartComesBack) {
  const JournalStart start{"1.0", "/etc/fleet.yaml", "pools:\n  - name: \"a\"\n", "planner/1 3 0x1"};
  EXPECT_EQ(*decode_journal_start(encode(start)), start);
  EXPECT_NE(config_hash("a"), config_hash("b"));
  EXPECT_FALSE(decode_journal_start("{}"));
}

}  // namespace
}  // namespace flexpert::codec
