#include "engine/serve/balanced_experts.h"

#include <future>

#include <gtest/gtest.h>

#include "base/clock.h"

namespace flexpert::engine {
namespace {

ModelConfig model_of(std::uint32_t experts) {
  ModelConfig model;
  model.num_layers = 2;
  model.num_experts = experts;
  model.experts_per_token = 1;
  return model;
}

/// Counts what it is asked to compute.
class CountingExecutor final : public ExpertExecutor {
 public:
  void begin_step(std::uint64_t) override { ++steps; }
  void compute(const ExpertBatch& batch) override { layers += batch.layer < 2; }
  int steps = 0;
  int layers = 0;
};

class BalancedExpertsTest : public testing::Test {
 protected:
  void start(EplbAlgorithm algorithm, std::uint64_t interval) {
    options_.servers = {"unix:/tmp/a", "unix:/tmp/b"};
    options_.names = {"a", "b"};
    options_.rebalance = true;
    options_.algorithm = algorithm;
    options_.interval_steps = interval;
    const ExpertLayout layout = trivial_layout(model_.expert_geometry(), {4, 4});
    table_ = table_of(layout, options_, model_, 1);
    auto planner = LayoutPlanner::create(layout, options_, 100);
    ASSERT_TRUE(planner) << planner.error().message;
    TableSwap swap{.set = [this](auto table) { return tables_.push_back(table), Result<void>{}; }, .on_set = [this](auto) { ++told_; }};
    balanced_ = std::make_unique<BalancedExperts>(inner_, std::move(*planner), options_, model_, table_, std::move(swap), registry_, clock_);
  }
  /// One step in which the experts of the first server get nearly all the tokens.
  void skewed_step() {
    balanced_->begin_step(++step_);
    std::vector<std::uint32_t> rows(64);
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      std::vector<ExpertGroup> groups;
      for (std::uint32_t e = 0; e < 8; ++e) groups.push_back({.expert = e, .rows = std::span(rows).first(e < 4 ? 60 : 4)});
      balanced_->compute({.layer = layer, .step = step_, .rows = {}, .row_count = 256, .hidden = 1, .groups = groups});
    }
  }
  /// Runs steps until a table was set; gives up after a minute.
  bool steps_until_a_table() {
    const TimePoint end = clock_.now() + Seconds(60);
    while (tables_.empty() && clock_.now() < end) {
      skewed_step();
      std::this_thread::yield();
    }
    return !tables_.empty();
  }

  SystemClock clock_;
  telemetry::Registry registry_;
  ModelConfig model_ = model_of(8);
  EplbOptions options_;
  RoutingTable table_;
  CountingExecutor inner_;
  std::vector<std::shared_ptr<const RoutingTable>> tables_;
  int told_ = 0;
  std::uint64_t step_ = 0;
  std::unique_ptr<BalancedExperts> balanced_;
};

TEST_F(BalancedExpertsTest, EveryAlgorithmSpreadsABusyServersExpertsBetweenTwoSteps) {
  for (const EplbAlgorithm algorithm : {EplbAlgorithm::kIncremental, EplbAlgorithm::kExact, EplbAlgorithm::kQuality}) {
    tables_.clear();
    start(algorithm, 32);
    ASSERT_TRUE(steps_until_a_table());
    const RoutingTable& table = *tables_[0];
    ASSERT_TRUE(validate(table)) << validate(table).error().message;
    EXPECT_EQ(table.epoch, 2U);
    EXPECT_EQ(table.endpoints, table_.endpoints);
    EXPECT_NE(table.replicas, table_.replicas);
    for (const auto& list : table.replicas) EXPECT_EQ(list.size(), 1U);
    balanced_.reset();
  }
  EXPECT_EQ(told_, 3);
  EXPECT_EQ(inner_.steps, static_cast<int>(step_));
  EXPECT_EQ(inner_.layers, 2 * inner_.steps) << "everything is passed on";
  EXPECT_NE(registry_.text().find(R"(flexpert_placement_rebalances_total{outcome="moved"} 3)"), std::string::npos) << registry_.text();
}

TEST_F(BalancedExpertsTest, AboveTheThresholdNothingIsMoved) {
  options_.least_utilisation = 0.4;  // 0.53 as it is
  start(EplbAlgorithm::kQuality, 1);
  const TimePoint end = clock_.now() + Seconds(60);
  while (registry_.text().find(R"(outcome="balanced")") == std::string::npos && clock_.now() < end) skewed_step();
  EXPECT_NE(registry_.text().find(R"(outcome="balanced")"), std::string::npos);
  EXPECT_TRUE(tables_.empty());
}

TEST_F(BalancedExpertsTest, GoingAwayWithAPlanUnderWayEndsAtOnce) {
  start(EplbAlgorithm::kExact, 1);
  for (int i = 0; i < 5; ++i) skewed_step();
  balanced_.reset();
  SUCCEED();
}

}  // namespace
}  // namespace flexpert::engine
