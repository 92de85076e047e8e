// Pools of real model servers: scaled by hand and by load, journalled, replayed, and taken over when a controller is killed.
#include <csignal>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

class PoolsTest : public testing::Test {
 protected:
  void SetUp() override {
    runtime_ = folder_.path() + "/run";
    config_ = folder_.write("fleet.yaml", fmt::format(R"(gateway:
  listen: 127.0.0.1:0
  metrics_listen: 127.0.0.1:0
controller:
  listen: unix:{0}/api.sock
runtime_dir: {0}/run
access: {{anonymous: true}}
planner: {{interval_s: 0.1, gpu_budget: 3}}
pools:
  - name: chat
    min: 1
    max: 3
    policies: [{{name: hand, kind: manual, replicas: 1}}]
    stabilisation: {{down_window_s: 0, min_between_reversals_s: 0, max_loading: 3}}
    sensors: {{source: direct}}
    launch: {{model: {1}/models/flexpert-tiny-moe, kv_blocks: 256}}
)",
                                                      folder_.path(), FLEXPERT_SOURCE_DIR));
    controller_ = *net::Address::parse("unix:" + folder_.path() + "/api.sock");
  }

  std::unique_ptr<RunningProgram> start(const std::string& command, const std::string& ready, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{command, "-c", config_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto program = std::make_unique<RunningProgram>(loop_, arguments);
    EXPECT_FALSE(program->wait_for_line(ready, Seconds(60)).empty()) << program->output();
    return program;
  }
  json::value ask(const std::string& method, const std::string& target, const std::string& body = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    request.body = body;
    const auto answer = http::fetch(controller_, std::move(request), Seconds(10));
    boost::system::error_code error;
    json::value value = answer ? json::parse(answer->body, error) : json::value();
    return error ? json::value() : value;
  }
  /// Pids of the instances that are ready, by id.
  std::map<std::string, std::int64_t> ready() {
    std::map<std::string, std::int64_t> out;
    const json::value fleet = ask("GET", "/internal/fleet");
    if (!fleet.is_object()) return out;
    for (const json::value& one : fleet.at("instances").as_array())
      if (one.at("state") == "ready") out[std::string(one.at("id").as_string())] = one.at("pid").to_number<std::int64_t>();
    return out;
  }
  bool scale_to(std::size_t replicas) {
    (void)ask("PUT", "/api/v1/pools/chat/limits", fmt::format("{{\"manual\":{}}}", replicas));
    return run_until(loop_, Seconds(60), [&] {
      const json::value fleet = ask("GET", "/internal/fleet");
      return ready().size() == replicas && fleet.is_object() && fleet.at("instances").as_array().size() == replicas;
    });
  }

  TemporaryFolder folder_;
  net::EventLoop loop_;
  std::string runtime_;
  std::string config_;
  net::Address controller_;
};

TEST_F(PoolsTest, UpScalesAPoolAndItsJournalReplays) {
  const auto up = start("up", "ready: ");
  ASSERT_TRUE(scale_to(3));
  const Finished status = run_program({"status", "--address", controller_.to_string()});
  EXPECT_EQ(status.exit_code, 0);
  EXPECT_NE(status.output.find("1..3, by hand 3"), std::string::npos) << status.output;
  EXPECT_NE(status.output.find("start 2"), std::string::npos) << status.output;
  ASSERT_TRUE(scale_to(1));
  up->signal(SIGTERM);
  const auto exit = up->wait_for_exit(Seconds(30));
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0) << up->output();
  const Finished replayed = run_program({"replay", runtime_ + "/flexpert.db"});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.output;
  const Finished shown = run_program({"replay", runtime_ + "/flexpert.db", "--show", "2"});
  const Finished planned = run_program({"plan", "--snapshot", folder_.write("snapshot.json", shown.output), "-c", config_});
  EXPECT_EQ(planned.exit_code, 0) << planned.output;
  EXPECT_NE(planned.output.find("chat"), std::string::npos);
}

TEST_F(PoolsTest, InstancesOutliveAKilledControllerAndTheNextOneTakesThemOver) {
  auto first = start("controller", "controller listening");
  ASSERT_TRUE(scale_to(2));
  const auto before = ready();
  first->signal(SIGKILL);
  ASSERT_TRUE(first->wait_for_exit(Seconds(10)).has_value());
  for (const auto& [id, pid] : before) EXPECT_TRUE(is_running(static_cast<int>(pid))) << id;
  const auto second = start("controller", "controller listening");
  ASSERT_TRUE(run_until(loop_, Seconds(30), [&] { return ready().size() == 2; }));
  EXPECT_EQ(ready(), before);
  second->signal(SIGTERM);
  ASSERT_TRUE(second->wait_for_exit(Seconds(30)).has_value());
  for (const auto& [id, pid] : before) EXPECT_FALSE(is_running(static_cast<int>(pid))) << id;
}

TEST_F(PoolsTest, ASecondControllerSaysWhoLeadsAndTakesOverAtItsEnd) {
  auto first = start("controller", "controller listening");
  ASSERT_TRUE(run_until(loop_, Seconds(30), [&] { return ready().size() == 1; }));
  const auto before = ready();
  const Finished refused = run_program({"controller", "-c", config_, "--no-wait"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.output.find(fmt::format("another controller leads this fleet (pid {},", first->pid())), std::string::npos) << refused.output;
  const auto standby = start("controller", "standby: another controller leads");
  first->signal(SIGKILL);
  EXPECT_FALSE(standby->wait_for_line("controller listening", Seconds(30)).empty()) << standby->output();
  ASSERT_TRUE(run_until(loop_, Seconds(30), [&] { return ready().size() == 1; }));
  EXPECT_EQ(ready(), before);
  standby->signal(SIGTERM);
  EXPECT_TRUE(standby->wait_for_exit(Seconds(30)).has_value());
}

}  // namespace
}  // namespace flexpert::integration
