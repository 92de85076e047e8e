// Measured load changes how many replicas an expert has, and the journal says why.
#include <gtest/gtest.h>

#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

const Action* first_of(const std::vector<Decision>& decisions, ActionKind kind) {
  for (const Decision& decision : decisions)
    for (const Action& action : decision.actions)
      if (action.kind == kind) return &action;
  return nullptr;
}

double number_of(const Action& action, const std::string& name) {
  for (const Reason& reason : action.reasons)
    for (const auto& [key, value] : reason.numbers)
      if (key == name) return value;
  return -1;
}

std::vector<std::string> load_arguments(const TestFleet& fleet, const std::string& seconds) {
  return {"load", "--url", "http://" + fleet.gateway().to_string(), "--prompts", FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe/prompts/code.json",
          "--rate", "8", "--duration", seconds, "--max-tokens", "48"};
}

TEST(Scaling, LoadAddsReplicasAndSilenceTakesThemAway) {
  TestFleet fleet({.replica_capacity_rows_per_s = 40, .more_arguments = {}});
  ASSERT_TRUE(fleet.ready());
  RunningProgram load(fleet.loop(), load_arguments(fleet, "12"));
  std::vector<Decision> decisions;
  ASSERT_TRUE(run_until(fleet.loop(), Seconds(40), [&] {
    decisions = fleet.decisions();
    return first_of(decisions, ActionKind::kExpertScaleUp) != nullptr;
  }));
  const Action* up = first_of(decisions, ActionKind::kExpertScaleUp);
  EXPECT_EQ(up->from, 1U);
  EXPECT_EQ(up->to, 2U);
  EXPECT_GE(number_of(*up, "utilisation"), 0.8);
  const auto finished = load.wait_for_exit(Seconds(60));
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(finished->code, 0) << load.output();
  EXPECT_TRUE(run_until(fleet.loop(), Seconds(60), [&] {
    decisions = fleet.decisions();
    return first_of(decisions, ActionKind::kExpertScaleDown) != nullptr;
  }));
  const Action* down = first_of(decisions, ActionKind::kExpertScaleDown);
  ASSERT_NE(down, nullptr);
  EXPECT_LT(number_of(*down, "utilisation"), 0.2);
  EXPECT_LT(down->to, down->from);
}

TEST(Scaling, DryRunRecordsAndDoesNotAct) {
  TestFleet fleet({.replica_capacity_rows_per_s = 40, .more_arguments = {"--dry-run"}});
  ASSERT_TRUE(fleet.ready());
  RunningProgram load(fleet.loop(), load_arguments(fleet, "12"));
  std::vector<Decision> decisions;
  ASSERT_TRUE(run_until(fleet.loop(), Seconds(40), [&] {
    decisions = fleet.decisions();
    return first_of(decisions, ActionKind::kExpertScaleUp) != nullptr;
  }));
  for (const Decision& decision : decisions) {
    if (first_of({decision}, ActionKind::kExpertScaleUp) != nullptr) {
      EXPECT_FALSE(decision.acted);
    }
  }
  for (const ExpertStatus& expert : fleet.snapshot().experts) EXPECT_LE(expert.replicas, 1U);
}

}  // namespace
}  // namespace flexpert::integration
