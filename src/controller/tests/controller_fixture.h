#pragma once

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "codec/fleet_json.h"
#include "controller/controller.h"
#include "controller/json_caller.h"
#include "controller/tests/fake_model_server.h"
#include "platform/fake_orchestrator.h"

namespace flexpert::controller {

/// The clock of a test: stands still but for what the test adds.
class ControllerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-controller-XXXXXX").string();
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
    model.scaling.forecast_horizon_s = 0;  // what was measured alone decides here
    options_.config.model = model;
    server_ = std::make_unique<FakeModelServer>(loop_, "unix:" + pattern + "/serve-0.sock", ExpertGeometry{2, 8});
    ASSERT_TRUE(server_->listening);
  }
  void TearDown() override {
    controller_.reset();
    std::filesystem::remove_all(options_.runtime_dir);
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
  std::string get(const std::string& target) { return call("GET", target); }
  std::string call(const std::string& method, const std::string& target) {
    JsonCaller caller(loop_);
    std::optional<Result<std::string>> answer;
    caller.call(controller_->address(), method, target, "", [&](Result<std::string> body) { answer = std::move(body); });
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

}  // namespace flexpert::controller
