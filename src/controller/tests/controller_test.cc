#include "controller/controller.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "codec/fleet_json.h"
#include "controller/json_caller.h"
#include "controller/tests/fake_model_server.h"
#include "platform/fake_orchestrator.h"

namespace flexpert::controller {
namespace {

namespace fs = std::filesystem;

/// The clock of a test: stands still but for what the test adds.
class ControllerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "flexpert-controller-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    options_.runtime_dir = pattern;
    options_.program = "/usr/bin/flexpert";
    options_.pack_file = "/tmp/model.pack";
    options_.config.controller.listen = "unix:" + pattern + "/api.sock";
    config::ModelConfig model;
    model.name = "fake";
    model.path = "/models/fake";
    model.expert_servers = {.min = 2, .max = 5, .warm = 1, .slots_per_server = 64, .threads = 2, .pace_rows_per_s = 0};
    model.scaling.replica_capacity_rows_per_s = 100;
    model.scaling.interval_s = 0.01;
    model.scaling.cooldown_s = 3;
    options_.config.model = model;
    server_ = std::make_unique<FakeModelServer>(loop_, "unix:" + pattern + "/serve-0.sock", ExpertGeometry{2, 8});
    ASSERT_TRUE(server_->listening);
  }
  void TearDown() override {
    controller_.reset();
    fs::remove_all(options_.runtime_dir);
  }

  void start() {
    auto created = Controller::create(loop_, options_, orchestrator_, clock_, registry_);
    ASSERT_TRUE(created) << created.error().message;
    controller_ = std::move(*created);
  }
  void start_and_settle() {
    start();
    ASSERT_TRUE(until([&] { return controller_->ready(); }));
  }
  template <class Condition>
  bool until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + Seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      loop_.run_once(Milliseconds(20));
    }
    return true;
  }
  /// Lets `seconds` pass with these rows per second in slot 0 and 1 in every other, enough tokens, and lets the controller see them.
  void traffic(double slot_0_rows_per_s, double other_rows_per_s = 40, std::uint64_t tokens = 4096) {
    const double windows = registry_value("flexpert_controller_windows_total");
    ASSERT_TRUE(until([&] { return controller_->ready(); }));
    for (std::size_t i = 0; i < server_->loads.rows.size(); ++i)
      server_->loads.rows[i] += static_cast<std::uint64_t>(i == 0 ? slot_0_rows_per_s : other_rows_per_s);
    server_->loads.tokens += tokens;
    clock_.advance(Seconds(1));
    ASSERT_TRUE(until([&] { return registry_value("flexpert_controller_windows_total") > windows; }));
    ASSERT_TRUE(until([&] { return controller_->ready(); }));
  }
  /// The first poll of all only says where the counters stand.
  void wait_for_baseline() {
    const double cycles = registry_value("flexpert_controller_cycles_total");
    ASSERT_TRUE(until([&] { return registry_value("flexpert_controller_cycles_total") >= cycles + 3; }));
  }
  double registry_value(const std::string& name) const {
    const std::string text = registry_.text();
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? 0 : std::stod(text.substr(at + name.size() + 2));
  }
  std::string get(const std::string& target) {
    JsonCaller caller(loop_);
    std::optional<Result<std::string>> answer;
    caller.call(controller_->address(), "GET", target, "", [&](Result<std::string> body) { answer = std::move(body); });
    EXPECT_TRUE(until([&] { return answer.has_value(); }));
    return *answer ? **answer : "error: " + answer->error().message;
  }
  std::vector<Decision> decisions() {
    std::vector<Decision> out;
    const auto value = boost::json::parse(get("/api/v1/decisions?limit=1000"));
    for (const auto& item : value.at("decisions").as_array()) out.push_back(*codec::decode_decision(boost::json::serialize(item)));
    std::reverse(out.begin(), out.end());
    return out;
  }
  std::size_t count(const std::vector<Decision>& all, ActionKind kind) const {
    std::size_t n = 0;
    for (const Decision& d : all)
      for (const Action& a : d.actions) n += a.kind == kind;
    return n;
  }
  InstanceState state_of(const std::string& id) const {
    for (const InstanceStatus& instance : controller_->snapshot().instances)
      if (instance.id.value == id) return instance.state;
    return InstanceState::kStopped;
  }
  std::size_t in_state(InstanceState state) const {
    const auto snapshot = controller_->snapshot();
    return static_cast<std::size_t>(std::count_if(snapshot.instances.begin(), snapshot.instances.end(), [&](const InstanceStatus& i) {
      return i.role == InstanceRole::kExpertServer && i.state == state;
    }));
  }

  net::EventLoop loop_;
  FakeClock clock_;
  telemetry::Registry registry_;
  ControllerOptions options_;
  platform::FakeOrchestrator orchestrator_{loop_};
  std::unique_ptr<FakeModelServer> server_;
  std::unique_ptr<Controller> controller_;
};

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
