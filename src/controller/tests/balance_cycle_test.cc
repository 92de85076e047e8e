#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "controller/table_balance.h"
#include "controller/tests/controller_fixture.h"

namespace flexpert::controller {
namespace {

/// A fleet whose policy scales nothing, so that only balance moves replicas.
class RebalanceCycleTest : public ControllerTest {
 protected:
  void SetUp() override {
    ControllerTest::SetUp();
    options_.bytes_per_replica = 1000;
    options_.config.model->scaling.replica_capacity_rows_per_s = 100;
    options_.config.model->scaling.low = 0;
    options_.config.model->placement.rebalance_interval_s = 0;
    options_.config.model->placement.drift = 0;
    options_.config.model->placement.smoothing = 1;
  }
  /// One window in which the experts that server 0 holds in layer 0 are chosen `ratio` times as often as the others.
  void skewed_traffic(double ratio) {
    ASSERT_TRUE(server_->table);
    const RoutingTable table = *server_->table;
    const double windows = registry_value("flexpert_controller_windows_total");
    for (std::size_t i = 0; i < server_->loads.rows.size(); ++i)
      server_->loads.rows[i] += i < 8 && table.replicas[i][0] == 0 ? static_cast<std::uint64_t>(20 * ratio) : 20;
    server_->loads.tokens += 4096;
    server_->loads.steps += 64;
    clock_.advance(Seconds(1));
    ASSERT_TRUE(until([&] { return registry_value("flexpert_controller_windows_total") > windows; }));
    ASSERT_TRUE(until([&] { return controller_->ready(); }));
  }
  boost::json::value rebalance(const std::string& query = "") {
    return boost::json::parse(call("POST", "/api/v1/placement/rebalance" + query));
  }
  double series(const std::string& name, const std::string& label) const { return registry_value(name + "{" + label + "}"); }
};

TEST_F(RebalanceCycleTest, AskedItMovesWhatItSaysAndTellsWhy) {
  start_and_settle();
  wait_for_baseline();
  skewed_traffic(3);
  const RoutingTable before = *server_->table;
  const auto answer = rebalance();
  ASSERT_EQ(answer.at("outcome"), "moved") << boost::json::serialize(answer);
  ASSERT_TRUE(until([&] { return server_->table->epoch == before.epoch + 1; }));
  const auto moves = moves_between(before, *server_->table);
  ASSERT_EQ(answer.at("moves").as_array().size(), moves.size());
  for (std::size_t i = 0; i < moves.size(); ++i) {
    EXPECT_EQ(answer.at("moves").at(i).at("expert").to_number<std::uint32_t>(), moves[i].slot.expert);
    EXPECT_EQ(std::string(answer.at("moves").at(i).at("to").as_string()), moves[i].to.value);
  }
  EXPECT_GT(answer.at("after").at("balancedness").to_number<double>(), answer.at("before").at("balancedness").to_number<double>());
  EXPECT_EQ(answer.at("bytes").to_number<std::uint64_t>(), 1000 * moves.size());
  const auto all = decisions();
  EXPECT_EQ(all.back().actions[0].kind, ActionKind::kPlacement);
  EXPECT_EQ(all.back().actions[0].reasons[0].code, "rebalanced");
  EXPECT_EQ(all.back().actions[0].reasons[1].code, "asked");
  EXPECT_EQ(all.back().epoch, server_->table->epoch);
}

TEST_F(RebalanceCycleTest, MetricsAndViewCountWhatWasMoved) {
  start_and_settle();
  wait_for_baseline();
  skewed_traffic(3);
  const auto answer = rebalance();
  const auto moved = answer.at("moves").as_array().size();
  ASSERT_GT(moved, 0U);
  ASSERT_TRUE(until([&] { return controller_->ready(); }));
  EXPECT_EQ(series("flexpert_placement_moved_slots_total", R"(cause="balance")"), static_cast<double>(moved));
  EXPECT_EQ(series("flexpert_placement_moved_bytes_total", R"(cause="balance")"), 1000.0 * static_cast<double>(moved));
  EXPECT_EQ(series("flexpert_placement_moved_slots_total", R"(cause="initial")"), 16);
  EXPECT_EQ(series("flexpert_placement_rebalances_total", R"(outcome="moved")"), 1);
  EXPECT_EQ(registry_value("flexpert_placement_rebalance_duration_seconds_count"), 1);
  get("/metrics");
  EXPECT_NEAR(registry_value("flexpert_placement_expected_balancedness"), answer.at("after").at("balancedness").to_number<double>(), 1e-6);
  wait_for_baseline();
  skewed_traffic(1);
  clock_.advance(Seconds(5));
  const auto view = boost::json::parse(get("/api/v1/placement"));
  EXPECT_GE(view.at("age_s").to_number<double>(), 5);
  EXPECT_EQ(view.at("moved_slots").to_number<std::uint64_t>(), moved);
  EXPECT_EQ(view.at("measured_tokens").to_number<std::uint64_t>(), 4096U);
  EXPECT_GT(view.at("even_split").at("balancedness").to_number<double>(), 0.5);
  EXPECT_TRUE(view.at("measured").is_null()) << "no expert server was asked";
  EXPECT_EQ(view.at("last").at("outcome"), "moved");
  EXPECT_NE(get("/metrics").find("flexpert_placement_plan_age_seconds 6"), std::string::npos);
}

TEST_F(RebalanceCycleTest, ADryRunOnlyComputes) {
  start_and_settle();
  wait_for_baseline();
  skewed_traffic(3);
  const std::size_t journalled = decisions().size();
  const auto answer = rebalance("?dry_run=1");
  EXPECT_EQ(answer.at("outcome"), "moved");
  EXPECT_TRUE(answer.at("dry_run").as_bool());
  EXPECT_GT(answer.at("moves").as_array().size(), 0U);
  wait_for_baseline();
  EXPECT_EQ(server_->table->epoch, 1U);
  EXPECT_EQ(decisions().size(), journalled);
  EXPECT_EQ(series("flexpert_placement_rebalances_total", R"(outcome="moved")"), 0);
  EXPECT_NE(call("POST", "/api/v1/placement/rebalance?dry_run=yes").find("dry_run must be 0 or 1"), std::string::npos);
  EXPECT_NE(get("/api/v1/placement/rebalance").find("only POST"), std::string::npos);
}

TEST_F(RebalanceCycleTest, TheIntervalAndTheThresholdDecideWhenNobodyAsks) {
  options_.config.model->placement.rebalance_interval_s = 10;
  start_and_settle();
  wait_for_baseline();
  for (int second = 0; second < 8; ++second) skewed_traffic(3);
  EXPECT_EQ(server_->table->epoch, 1U) << "not before the interval is over";
  for (int second = 0; second < 3 && server_->table->epoch == 1; ++second) skewed_traffic(3);
  EXPECT_EQ(server_->table->epoch, 2U);
  EXPECT_EQ(decisions().back().actions[0].reasons[1].code, "interval");
  for (int second = 0; second < 12; ++second) skewed_traffic(1);
  EXPECT_EQ(server_->table->epoch, 2U);
  EXPECT_GE(series("flexpert_placement_rebalances_total", R"(outcome="balanced")"), 1);
}

TEST_F(RebalanceCycleTest, DriftIsSeenBeforeTheIntervalIsOver) {
  options_.config.model->placement.rebalance_interval_s = 1000;
  options_.config.model->placement.drift = 0.1;
  start_and_settle();
  wait_for_baseline();
  skewed_traffic(1);
  ASSERT_EQ(rebalance().at("outcome"), "no_better") << "and what is there is what is expected from here on";
  skewed_traffic(3);
  EXPECT_EQ(server_->table->epoch, 2U);
  EXPECT_EQ(decisions().back().actions[0].reasons[1].code, "drift");
}

TEST_F(RebalanceCycleTest, WhileATableIsOnItsWayNothingIsPlanned) {
  start_and_settle();
  wait_for_baseline();
  skewed_traffic(3);
  server_->hold_below_servers = 100;
  EXPECT_EQ(rebalance().at("outcome"), "moved");
  EXPECT_NE(call("POST", "/api/v1/placement/rebalance").find("try again"), std::string::npos);
  server_->release_tables();
  ASSERT_TRUE(until([&] { return controller_->ready(); }));
  EXPECT_EQ(series("flexpert_placement_rebalances_total", R"(outcome="busy")"), 1);
  EXPECT_EQ(server_->tables.size(), 2U);
}

TEST_F(RebalanceCycleTest, ModelServersAreToldTheDispatch) {
  options_.config.model->placement.dispatch = "round_robin";
  start_and_settle();
  const auto& argv = orchestrator_.launched()[0].argv;
  const auto flag = std::find(argv.begin(), argv.end(), "--ep-dispatch-algorithm");
  ASSERT_NE(flag, argv.end());
  EXPECT_EQ(*(flag + 1), "round_robin");
}

TEST_F(RebalanceCycleTest, ReplicasThatAreAddedForLoadAreNotCountedAsBalance) {
  start_and_settle();
  wait_for_baseline();
  for (int i = 0; i < 4; ++i) traffic(1000);
  EXPECT_GT(server_->table->replicas[0].size(), 1U);
  EXPECT_EQ(series("flexpert_placement_moved_slots_total", R"(cause="balance")"), 0);
  EXPECT_GT(series("flexpert_placement_moved_slots_total", R"(cause="replicas_changed")") +
                series("flexpert_placement_moved_slots_total", R"(cause="servers_changed")"),
            0);
}

}  // namespace
}  // namespace flexpert::controller
