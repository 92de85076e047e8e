#include <algorithm>
#include <fstream>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "codec/internal_grant.h"
#include "controller/tests/controller_fixture.h"
#include "crypto/hmac_key.h"
#include "crypto/secret_file.h"

namespace flexpert::controller {
namespace {

TEST_F(ControllerTest, LaunchesTheFleetAndPublishesTheFirstTable) {
  start_and_settle();
  ASSERT_EQ(orchestrator_.launched().size(), 4U) << "one model server, two expert servers and a warm one";
  const auto& serve = orchestrator_.launched()[0].argv;
  EXPECT_EQ(serve[1], "serve");
  EXPECT_NE(std::find(serve.begin(), serve.end(), "unix:" + options_.runtime_dir + "/serve-0.sock"), serve.end());
  EXPECT_EQ(orchestrator_.launched()[0].readiness.http_path, "/ready");
  EXPECT_EQ(orchestrator_.launched()[1].argv[1], "expert");
  EXPECT_EQ(orchestrator_.launched()[1].readiness.http_path, "");
  ASSERT_TRUE(server_->table);
  EXPECT_EQ(server_->table->epoch, 1U);
  EXPECT_EQ(server_->table->endpoints.size(), 2U);
  for (const auto& list : server_->table->replicas) EXPECT_EQ(list.size(), 1U);
  EXPECT_EQ(in_state(InstanceState::kReady), 2U);
  EXPECT_EQ(in_state(InstanceState::kWarm), 1U);
}

TEST_F(ControllerTest, LoadScalesAnExpertUpAndQuietDownAgainWithReasons) {
  start_and_settle();
  wait_for_baseline();
  for (int i = 0; i < 12; ++i) traffic(1000);
  EXPECT_EQ(server_->table->replicas[0].size(), 5U) << "one on each of the most servers allowed";
  EXPECT_EQ(server_->table->endpoints.size(), 5U);
  for (int i = 0; i < 24; ++i) traffic(10);
  EXPECT_EQ(server_->table->replicas[0].size(), 1U);
  ASSERT_TRUE(until([&] { return in_state(InstanceState::kReady) == 2 && in_state(InstanceState::kWarm) == 1; }));
  const auto all = decisions();
  EXPECT_GE(count(all, ActionKind::kExpertScaleUp), 2U);
  EXPECT_GE(count(all, ActionKind::kExpertScaleDown), 2U);
  EXPECT_GE(count(all, ActionKind::kServerActivate), 3U);
  EXPECT_GE(count(all, ActionKind::kServerStart), 2U);
  EXPECT_EQ(count(all, ActionKind::kServerDrain), 3U);
  EXPECT_EQ(count(all, ActionKind::kServerStop), 2U);
  for (const Decision& decision : all) {
    EXPECT_TRUE(decision.acted);
    for (const Action& action : decision.actions) {
      ASSERT_FALSE(action.reasons.empty()) << name_of(action.kind);
      EXPECT_FALSE(action.reasons[0].code.empty());
      EXPECT_FALSE(action.reasons[0].numbers.empty());
    }
  }
  for (std::size_t i = 1; i < server_->tables.size(); ++i) EXPECT_EQ(server_->tables[i].epoch, server_->tables[i - 1].epoch + 1);
}

TEST_F(ControllerTest, DryRunRecordsAndLeavesEverythingAsItIs) {
  options_.config.controller.dry_run = true;
  start_and_settle();
  wait_for_baseline();
  for (int i = 0; i < 8; ++i) traffic(1000);
  EXPECT_EQ(server_->tables.size(), 1U);
  EXPECT_EQ(orchestrator_.launched().size(), 4U);
  const auto all = decisions();
  EXPECT_GE(count(all, ActionKind::kExpertScaleUp), 1U);
  EXPECT_FALSE(all.back().acted);
  EXPECT_LE(all.size(), 4U) << "the same plan is not repeated";
  EXPECT_NE(get("/api/v1/status").find(R"("dry_run":true)"), std::string::npos);
}

TEST_F(ControllerTest, ACrashedServerIsOutOfTheTableAtOnceAndComesBackWarm) {
  start_and_settle();
  const InstanceId victim = server_->table->endpoints[0].id;
  orchestrator_.crash(victim, "killed by signal 9");
  ASSERT_TRUE(until([&] { return server_->table->epoch == 2; }));
  for (const ExpertEndpoint& endpoint : server_->table->endpoints) EXPECT_NE(endpoint.id, victim);
  EXPECT_EQ(server_->table->endpoints.size(), 2U) << "the warm one took over";
  orchestrator_.restart(victim);
  ASSERT_TRUE(until([&] { return state_of(victim.value) == InstanceState::kWarm; }));
  EXPECT_EQ(orchestrator_.launched().size(), 4U);
  const auto all = decisions();
  ASSERT_EQ(count(all, ActionKind::kServerFailed), 1U);
  EXPECT_EQ(all.back().actions[0].reasons[0].text, "killed by signal 9");
}

TEST_F(ControllerTest, WithAllExpertServersDeadTheTableIsEmptyAndFillsAgain) {
  start_and_settle();
  for (int i = 0; i < 3; ++i) orchestrator_.crash({fmt::format("expert-{}", i)}, "killed");
  ASSERT_TRUE(until([&] { return server_->table->endpoints.empty(); }));
  for (int i = 0; i < 3; ++i) orchestrator_.restart({fmt::format("expert-{}", i)});
  ASSERT_TRUE(until([&] { return server_->table->endpoints.size() == 2; }));
  for (const auto& list : server_->table->replicas) EXPECT_EQ(list.size(), 1U);
}

TEST_F(ControllerTest, AModelServerThatRestartsGetsTheTableAgain) {
  start_and_settle();
  const std::size_t before = server_->tables.size();
  orchestrator_.crash({"serve-0"}, "killed");
  ASSERT_TRUE(until([&] { return state_of("serve-0") == InstanceState::kFailed; }));
  EXPECT_FALSE(controller_->ready());
  server_->table.reset();
  orchestrator_.restart({"serve-0"});
  ASSERT_TRUE(until([&] { return server_->tables.size() > before; }));
  EXPECT_EQ(server_->table->epoch, 1U);
}

TEST_F(ControllerTest, ATableThatIsNotTakenIsSentAgain) {
  server_->refuse_tables = true;
  start();
  ASSERT_TRUE(until([&] { return registry_value("flexpert_controller_publish_failures_total") >= 2; }));
  EXPECT_FALSE(controller_->ready());
  server_->refuse_tables = false;
  EXPECT_TRUE(until([&] { return controller_->ready(); }));
}

TEST_F(ControllerTest, ADrainedServerIsKeptUntilTheModelServerWorksWithoutIt) {
  options_.config.model->expert_servers.warm = 0;
  start_and_settle();
  wait_for_baseline();
  for (int i = 0; i < 12; ++i) traffic(1000);
  ASSERT_EQ(in_state(InstanceState::kReady), 5U);
  server_->hold_below_servers = 5;
  for (int i = 0; i < 30 && server_->table->endpoints.size() == 5; ++i) {
    for (auto& rows : server_->loads.rows) rows += 10;
    server_->loads.tokens += 4096;
    clock_.advance(Seconds(1));
    const double windows = registry_value("flexpert_controller_windows_total");
    ASSERT_TRUE(until([&] { return registry_value("flexpert_controller_windows_total") > windows; }));
    ASSERT_TRUE(until([&] { return controller_->ready() || server_->table->endpoints.size() < 5; }));
  }
  ASSERT_LT(server_->table->endpoints.size(), 5U);
  EXPECT_GE(in_state(InstanceState::kDraining), 1U);
  EXPECT_TRUE(orchestrator_.stopped().empty()) << "the model server may still be calling it";
  server_->release_tables();
  EXPECT_TRUE(until([&] { return !orchestrator_.stopped().empty(); }));
}

TEST_F(ControllerTest, CapacityIsMeasuredWhenItIsNotConfigured) {
  options_.config.model->scaling.replica_capacity_rows_per_s = 0;
  server_->experts_latency_ms = 0.5;  // the four experts of a layer that a server holds: 8000 rows/s, 8 slots a server
  start_and_settle();
  ASSERT_TRUE(until([&] { return controller_->snapshot().replica_capacity_rows_per_s > 0; }));
  EXPECT_DOUBLE_EQ(controller_->snapshot().replica_capacity_rows_per_s, 1000);
  EXPECT_EQ(controller_->snapshot().capacity_source, "measured at start");
  EXPECT_GE(server_->experts_calls, 4);
}

TEST_F(ControllerTest, CallsThatMeasureCapacityAreSignedWhereServersHaveASecret) {
  const std::string secret_file = options_.runtime_dir + "/internal.secret";
  ASSERT_TRUE(crypto::ensure_secret_file(secret_file));
  options_.config.access.internal_secret_file = secret_file;
  options_.config.model->scaling.replica_capacity_rows_per_s = 0;
  start_and_settle();
  ASSERT_TRUE(until([&] { return controller_->snapshot().replica_capacity_rows_per_s > 0; }));
  const auto split = codec::split_internal_grant(server_->experts_grant);
  ASSERT_TRUE(split) << server_->experts_grant;
  EXPECT_TRUE(crypto::HmacKey(*crypto::read_secret_file(secret_file)).verify(split->payload, split->signature));
  const auto grant = codec::parse_internal_grant(split->payload);
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->rights.model, options_.config.model->name);
  EXPECT_EQ(grant->body_sha256, crypto::sha256(server_->experts_body));
  EXPECT_GT(grant->expires_unix_ms, clock_.unix_ms());
}

TEST_F(ControllerTest, PaceIsPassedOnAndShown) {
  options_.config.model->expert_servers.pace_rows_per_s = 4000;
  start_and_settle();
  const auto& argv = orchestrator_.launched()[1].argv;
  const auto pace = std::find(argv.begin(), argv.end(), "--pace");
  ASSERT_NE(pace, argv.end());
  EXPECT_EQ(*(pace + 1), "4000");
  EXPECT_NE(get("/api/v1/status").find(R"("paced":true)"), std::string::npos);
  EXPECT_NE(get("/internal/fleet").find(R"("pace_rows_per_s":4E3)"), std::string::npos);
}

TEST_F(ControllerTest, TheApiAnswersAsDocumented) {
  start_and_settle();
  const auto snapshot = codec::decode_fleet_snapshot(get("/internal/fleet"));
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  EXPECT_EQ(snapshot->instances.size(), 4U);
  EXPECT_TRUE(snapshot->routing);
  const auto status = boost::json::parse(get("/api/v1/status"));
  EXPECT_FALSE(status.at("dry_run").as_bool());
  EXPECT_FALSE(status.at("last_decision").is_null());
  EXPECT_EQ(get("/health"), R"({"status":"ok"})");
  EXPECT_EQ(get("/ready"), R"({"status":"ready"})");
  EXPECT_NE(get("/metrics").find("flexpert_controller_routing_epoch 1"), std::string::npos);
  EXPECT_NE(get("/api/v1/decisions?limit=abc").find("limit must be a number"), std::string::npos);
  EXPECT_NE(get("/nothing").find("404"), std::string::npos);
}

TEST_F(ControllerTest, AWatcherHearsOfEveryChange) {
  start_and_settle();
  http::Client client(loop_, {});
  std::string lines;
  http::Request request;
  request.method = "GET";
  request.target = "/internal/fleet?watch=1";
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [](int, const http::Headers&) {};
  callbacks.on_body = [&](std::string_view bytes) { lines += bytes; };
  callbacks.on_end = [] {};
  callbacks.on_error = [](const Error&) {};
  client.send(controller_->address(), std::move(request), std::move(callbacks));
  ASSERT_TRUE(until([&] { return lines.find('\n') != std::string::npos; }));
  EXPECT_TRUE(codec::decode_fleet_snapshot(lines.substr(0, lines.find('\n'))));
  orchestrator_.crash({"expert-0"}, "killed by a test");
  EXPECT_TRUE(until([&] { return lines.find("killed by a test") != std::string::npos; }));
}

TEST_F(ControllerTest, DrainStopsModelServersBeforeExpertServers) {
  start_and_settle();
  bool done = false;
  controller_->drain(Seconds(10), [&] { done = true; });
  ASSERT_TRUE(until([&] { return done; }));
  ASSERT_EQ(orchestrator_.stopped().size(), 4U);
  EXPECT_EQ(orchestrator_.stopped()[0].value, "serve-0");
  EXPECT_EQ(orchestrator_.launched().size(), 4U) << "nothing is started while draining";
}

TEST_F(ControllerTest, BadSettingsAndAForeignJournalAreErrorsAtOnce) {
  options_.config.model->scaling.low = 0.5;
  auto flapping = Controller::create(loop_, options_, orchestrator_, clock_, registry_);
  ASSERT_FALSE(flapping);
  EXPECT_NE(flapping.error().message.find("low must be under half of high"), std::string::npos);
  options_.config.model->scaling.low = 0.2;
  options_.config.controller.journal = "foreign.db";
  std::ofstream(options_.runtime_dir + "/foreign.db") << std::string(4096, 'x');
  auto foreign = Controller::create(loop_, options_, orchestrator_, clock_, registry_);
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().message.find("foreign.db"), std::string::npos);
  EXPECT_TRUE(orchestrator_.launched().empty());
}

}  // namespace
}  // namespace flexpert::controller
