#include <gtest/gtest.h>

#include "report/fleet_tables.h"

namespace flexpert::report {
namespace {

FleetSnapshot fleet() {
  FleetSnapshot snapshot;
  InstanceStatus model;
  model.id = {"model-0"};
  model.role = InstanceRole::kModelServer;
  model.state = InstanceState::kReady;
  model.running = 3;
  InstanceStatus expert;
  expert.id = {"expert-0"};
  expert.role = InstanceRole::kExpertServer;
  expert.state = InstanceState::kReady;
  expert.pid = 4711;
  expert.pace_rows_per_s = 4000;
  snapshot.instances = {model, expert};
  for (std::uint32_t i = 0; i < 4; ++i) {
    ExpertStatus status;
    status.slot = {0, i};
    status.rows_per_s = i == 2 ? 0 : 100.0 * i;
    status.utilisation = 0.5;
    status.replicas = 1;
    snapshot.experts.push_back(status);
  }
  return snapshot;
}

TEST(FleetTables, MarkWhatIsPaced) {
  FleetSnapshot snapshot = fleet();
  EXPECT_TRUE(is_paced(snapshot));
  const std::string text = instance_table(snapshot).text(200, false);
  EXPECT_NE(text.find("paced 4000 rows/s"), std::string::npos);
  EXPECT_NE(text.find("4711"), std::string::npos);
  EXPECT_NE(text.find("3 running"), std::string::npos);
  snapshot.instances[1].pace_rows_per_s = 0;
  EXPECT_FALSE(is_paced(snapshot));
  EXPECT_NE(instance_table(snapshot).text(200, false).find("raw speed"), std::string::npos);
  EXPECT_EQ(count_instances(snapshot, InstanceRole::kExpertServer, InstanceState::kReady), 1U);
}

TEST(FleetTables, HottestExpertsComeFirstAndIdleOnesNotAtAll) {
  const auto hottest = hottest_experts(fleet(), 3);
  ASSERT_EQ(hottest.size(), 2U);
  EXPECT_EQ(hottest[0].slot.expert, 3U);
  EXPECT_EQ(hottest[1].slot.expert, 1U);
  EXPECT_EQ(expert_table(hottest).rows(), 2U);
}

TEST(FleetTables, SummaryNamesTheWeightiestActionWithItsReason) {
  Decision decision;
  EXPECT_EQ(summary(decision), "nothing to change");
  Action moved;
  Action up;
  up.kind = ActionKind::kExpertScaleUp;
  up.slot = {5, 10};
  up.from = 1;
  up.to = 2;
  up.reasons = {{"utilisation_high", "utilisation 0.93 is over 0.80", {}}};
  decision.actions = {moved, up};
  decision.acted = true;
  EXPECT_EQ(summary(decision), "expert 10 of layer 5: 1 -> 2 replicas (utilisation 0.93 is over 0.80), and 1 more");
  Action hotter = up;
  hotter.slot = {3, 7};
  hotter.reasons = {{"utilisation_high", "it is hot", {{"utilisation", 2.5}}}};
  decision.actions.push_back(hotter);
  EXPECT_EQ(summary(decision), "expert 7 of layer 3: 1 -> 2 replicas (it is hot), and 2 more");
  decision.acted = false;
  EXPECT_NE(summary(decision).find("[dry-run]"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::report
