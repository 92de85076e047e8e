#include "codec/fleet_json.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

RoutingTable small_table() {
  RoutingTable table;
  table.epoch = 7;
  table.geometry = {2, 2};
  table.endpoints = {{{"expert-0"}, "unix:/run/e0.sock"}, {{"expert-1"}, "127.0.0.1:7001"}};
  table.replicas = {{0}, {0, 1}, {}, {1}};
  return table;
}

TEST(FleetJson, RoutingTableComesBackAlike) {
  const RoutingTable table = small_table();
  const auto back = decode_routing_table(encode(table));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, table);
}

TEST(FleetJson, RoutingTableHasTheDocumentedFields) {
  EXPECT_EQ(encode(small_table()),
            R"({"epoch":7,"layers":2,"experts":2,"endpoints":[{"id":"expert-0","address":"unix:/run/e0.sock"},)"
            R"({"id":"expert-1","address":"127.0.0.1:7001"}],"replicas":[[0],[0,1],[],[1]]})");
}

TEST(FleetJson, RoutingTableErrorsNameTheField) {
  struct Case {
    std::string json;
    std::string names;
  };
  const Case cases[] = {
      {"{", "not JSON"},
      {"[]", "must be a JSON object"},
      {R"({"layers":1,"experts":1,"endpoints":[],"replicas":[[]]})", "epoch: missing"},
      {R"({"epoch":"x","layers":1,"experts":1,"endpoints":[],"replicas":[[]]})", "epoch: must be an integer"},
      {R"({"epoch":-1,"layers":1,"experts":1,"endpoints":[],"replicas":[[]]})", "epoch: must be an integer from 0"},
      {R"({"epoch":1,"layers":1,"experts":1,"endpoints":[3],"replicas":[[]]})", "endpoints[0]: must be an object"},
      {R"({"epoch":1,"layers":1,"experts":1,"endpoints":[{"id":3}],"replicas":[[]]})", "endpoints[0].id: must be a string"},
      {R"({"epoch":1,"layers":1,"experts":1,"endpoints":[],"replicas":[[70000]]})", "replicas[0]: must be an integer from 0 to 65535"},
      {R"({"epoch":1,"layers":1,"experts":2,"endpoints":[],"replicas":[[]]})", "2 wanted, 1 given"},
      {R"({"epoch":1,"layers":1,"experts":1,"endpoints":[],"replicas":[[0]]})", "layer 0 expert 0: no endpoint 0"},
  };
  for (const Case& c : cases) {
    const auto result = decode_routing_table(c.json);
    ASSERT_FALSE(result) << c.json;
    EXPECT_NE(result.error().message.find(c.names), std::string::npos) << result.error().message << "\nwanted: " << c.names;
  }
}

TEST(FleetJson, SnapshotComesBackAlike) {
  FleetSnapshot snapshot;
  snapshot.revision = 12;
  snapshot.unix_ms = 1'700'000'000'123;
  snapshot.model = "tiny \"moe\"";
  InstanceStatus instance;
  instance.id = {"expert-0"};
  instance.role = InstanceRole::kExpertServer;
  instance.state = InstanceState::kDraining;
  instance.address = "unix:/run/e0.sock";
  instance.pid = 4711;
  instance.restarts = 2;
  instance.slots = 5;
  instance.rows_per_s = 812.5;
  instance.pace_rows_per_s = 4000;
  instance.last_error = "killed by signal 9";
  snapshot.instances = {instance};
  snapshot.experts = {{{1, 3}, 100.25, 0.5, 2}};
  snapshot.routing = small_table();
  snapshot.replica_capacity_rows_per_s = 250;
  snapshot.capacity_source = "configured";
  snapshot.pools = {{"chat", "m1", 2, 0}};
  const auto back = decode_fleet_snapshot(encode(snapshot));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), encode(snapshot));
  EXPECT_EQ(back->instances[0].state, InstanceState::kDraining);
  EXPECT_EQ(back->instances[0].rows_per_s, 812.5);
  EXPECT_EQ(*back->routing, small_table());
  EXPECT_EQ(back->pools, snapshot.pools);
  snapshot.routing.reset();
  const auto without = decode_fleet_snapshot(encode(snapshot));
  ASSERT_TRUE(without);
  EXPECT_FALSE(without->routing);
}

TEST(FleetJson, SnapshotWithoutPoolsIsOfAnEarlierController) {
  std::string text = encode(FleetSnapshot{});
  const std::size_t at = text.find(",\"pools\":[]");
  ASSERT_NE(at, std::string::npos);
  const auto back = decode_fleet_snapshot(text.erase(at, std::string_view(",\"pools\":[]").size()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(back->pools.empty());
}

TEST(FleetJson, SnapshotErrorNamesTheInstanceAndTheAllowedStates) {
  FleetSnapshot snapshot;
  snapshot.instances.resize(2);
  std::string text = encode(snapshot);
  text.replace(text.rfind("starting"), 8, "sleeping");
  const auto result = decode_fleet_snapshot(text);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "instances[1].state: must be one of starting, warm, ready, draining, stopped, failed: \"sleeping\"");
}

TEST(FleetJson, DecisionComesBackAlike) {
  Decision decision;
  decision.cycle = 3;
  decision.unix_ms = 99;
  decision.epoch = 4;
  decision.acted = true;
  Action up;
  up.kind = ActionKind::kExpertScaleUp;
  up.slot = {2, 17};
  up.from = 1;
  up.to = 2;
  up.reasons = {{"utilisation_high", "0.91 is over 0.8", {{"utilisation", 0.91}, {"high", 0.8}}}};
  Action activate;
  activate.kind = ActionKind::kServerActivate;
  activate.instance = {"expert-3"};
  decision.actions = {up, activate, Action{}};
  const auto back = decode_decision(encode(decision));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), encode(decision));
  EXPECT_EQ(back->actions[0].slot, (ExpertSlot{2, 17}));
  EXPECT_EQ(back->actions[0].reasons[0].numbers[0].second, 0.91);
  EXPECT_EQ(back->actions[1].instance.value, "expert-3");
  EXPECT_EQ(encode(decision).find("\"layer\""), encode(decision).rfind("\"layer\"")) << "only expert actions have a layer";
}

TEST(FleetJson, DecisionErrorNamesTheField) {
  const auto result = decode_decision(R"({"cycle":1,"unix_ms":2,"epoch":0,"acted":true,"actions":[{"kind":"explode"}]})");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "actions[0].kind: unknown kind of action: \"explode\"");
}

TEST(FleetJson, ExpertLoadsComeBackAlikeAndAreCounted) {
  const ExpertLoadReport report{"m", 5, 6, 7, {1, 3}, {1, 18446744073709551615ULL, 3}, {0, 1, 2}};
  const auto back = decode_expert_load_report(encode(report));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->rows, report.rows);
  EXPECT_EQ(back->in_process_rows, report.in_process_rows);
  EXPECT_EQ(back->tokens, 7U);
  const auto bad = decode_expert_load_report(R"({"model":"m","unix_ms":5,"steps":6,"tokens":7,"layers":1,"experts":3,"rows":[1]})");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "rows: must have layers * experts = 3 counters: 1");
}

}  // namespace
}  // namespace flexpert::codec
