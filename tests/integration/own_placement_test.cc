// A model server with expert servers of its own and no controller: it places, records, and balances under SGLang's flags.
#include <filesystem>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

const std::string kModel = FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe";

/// `flexpert serve` on a Unix socket, with two `flexpert expert`s.
class OwnPlacement : public testing::Test {
 protected:
  void start(const std::vector<std::string>& more) {
    const std::string pack = folder_.path() + "/pack";
    ASSERT_EQ(run_program({"pack", "--model", kModel, "-o", pack}).exit_code, 0);
    std::string servers;
    for (int i = 0; i < 2; ++i) {
      const std::string address = fmt::format("unix:{}/expert-{}.sock", folder_.path(), i);
      experts_.push_back(std::make_unique<RunningProgram>(
          loop_, std::vector<std::string>{"expert", "--pack", pack, "--listen", address, "--id", fmt::format("{}-of-mine", i)}));
      ASSERT_NE(experts_.back()->wait_for_line("listening on", Seconds(30)), "");
      servers += (i > 0 ? "," : "") + address;
    }
    const std::string listen = fmt::format("unix:{}/serve.sock", folder_.path());
    std::vector<std::string> arguments{"serve", "--model", kModel, "--pack", pack, "--listen", listen, "--expert-servers", servers};
    arguments.insert(arguments.end(), more.begin(), more.end());
    serve_ = std::make_unique<RunningProgram>(loop_, arguments);
    ASSERT_NE(serve_->wait_for_line("listening on", Seconds(60)), "") << serve_->output();
    address_ = *net::Address::parse(listen);
  }
  http::Response call(const std::string& method, const std::string& target, const std::string& body = {}) const {
    http::Request request;
    request.method = method;
    request.target = target;
    request.body = body;
    auto response = http::fetch(address_, std::move(request), Seconds(60));
    return response ? std::move(*response) : http::Response{.status = 0, .headers = {}, .body = response.error().message};
  }
  json::value table() const { return json::parse(call("GET", "/internal/routing-table").body); }
  /// Answers every golden chat and compares; returns how many were as they should be.
  int goldens() const {
    int same = 0;
    const json::value goldens = json::parse(read_file(kModel + "/goldens/golden_generate.json"));
    for (const json::value& golden : goldens.at("cases").as_array()) {
      json::object body{{"model", "flexpert-tiny-moe"}, {"temperature", 0}, {"max_tokens", 64}, {"messages", golden.at("messages")}};
      same += content_of(call("POST", "/v1/chat/completions", json::serialize(body))) == golden.at("answer").as_string();
    }
    return same;
  }

  TemporaryFolder folder_;
  net::EventLoop loop_;
  std::vector<std::unique_ptr<RunningProgram>> experts_;
  std::unique_ptr<RunningProgram> serve_;
  net::Address address_;
};

TEST_F(OwnPlacement, EplbSwapsTablesAndAnswersStayAsTheyAre) {
  start({"--enable-eplb", "--eplb-rebalance-num-iterations", "64", "--ep-num-redundant-experts", "8", "--eplb-algorithm", "quality"});
  EXPECT_EQ(table().at("epoch").to_number<int>(), 1);
  EXPECT_EQ(goldens(), 24);
  EXPECT_GT(table().at("epoch").to_number<int>(), 1) << serve_->output();
  EXPECT_EQ(goldens(), 24);
  const std::string metrics = call("GET", "/metrics").body;
  EXPECT_NE(metrics.find("flexpert_placement_rebalances_total{outcome=\"moved\"}"), std::string::npos);
  EXPECT_EQ(metrics.find("flexpert_placement_moved_slots_total{cause=\"balance\"} 0\n"), std::string::npos);
  EXPECT_NE(metrics.find("flexpert_remote_experts_failures_total 0\n"), std::string::npos);
  const http::Response refused = call("PUT", "/internal/routing-table", R"({"epoch":99})");
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(refused.body.find("own_placement"), std::string::npos);
}

TEST_F(OwnPlacement, AnInitialLocationIsTakenAndRecordingGivesOneBack) {
  std::string map = R"({"physical_to_logical_map": [)";
  for (int layer = 0; layer < 6; ++layer) {
    map += layer > 0 ? ",[" : "[";
    for (int slot = 0; slot < 32; ++slot) map += fmt::format("{}{}", slot > 0 ? "," : "", 31 - slot);
    map += "]";
  }
  map += "]}";
  const std::string dumps = folder_.path() + "/dumps";
  start({"--init-expert-location", map, "--expert-distribution-recorder-mode", "stat", "--expert-distribution-recorder-buffer-size", "0",
         "--expert-distribution-dump-dir", dumps});
  EXPECT_EQ(table().at("replicas").at(0).at(0).to_number<int>(), 1) << "expert 0 lies on the second server";
  EXPECT_EQ(table().at("replicas").at(31).at(0).to_number<int>(), 0);
  const json::value nothing = json::parse(call("GET", "/dump_expert_distribution_record").body);
  EXPECT_EQ(nothing.at("tokens").to_number<int>(), 0);
  EXPECT_EQ(call("POST", "/start_expert_distribution_record").status, 200);
  EXPECT_EQ(goldens(), 24);
  EXPECT_EQ(call("POST", "/stop_expert_distribution_record").status, 200);
  const http::Response dump = call("POST", "/dump_expert_distribution_record");
  ASSERT_EQ(dump.status, 200) << dump.body;
  const json::value recorded = json::parse(dump.body);
  double sum = 0;
  for (const json::value& layer : recorded.at("logical_count").as_array())
    for (const json::value& count : layer.as_array()) sum += count.to_number<double>();
  const auto loads = json::parse(call("GET", "/internal/expert-loads").body);
  double rows = 0;
  for (const json::value& count : loads.at("rows").as_array()) rows += count.to_number<double>();
  EXPECT_EQ(sum, rows) << "everything since the start was recorded";
  EXPECT_EQ(recorded.at("tokens").to_number<double>(), loads.at("tokens").to_number<double>());
  EXPECT_TRUE(std::filesystem::exists(std::string(recorded.at("file").as_string())));
}

TEST_F(OwnPlacement, WhatDoesNotGoTogetherIsRefusedWithTheFlagsName) {
  const auto refused = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"serve", "--model", kModel, "--listen", "127.0.0.1:0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = run_program(arguments);
    EXPECT_EQ(finished.exit_code, 1);
    return finished.output;
  };
  EXPECT_NE(refused({"--enable-eplb"}).find("--expert-servers ADDRESS"), std::string::npos);
  EXPECT_NE(refused({"--expert-servers", "unix:/tmp/flexpert-nobody.sock"}).find("is a `flexpert expert` running there?"), std::string::npos);
  EXPECT_NE(refused({"--expert-servers", "unix:/tmp/a,unix:/tmp/b,unix:/tmp/c"}).find("--ep-num-redundant-experts"), std::string::npos);
  EXPECT_NE(refused({"--ep-dispatch-algorithm", "fastest"}).find("--ep-dispatch-algorithm"), std::string::npos);
  EXPECT_NE(refused({"--expert-distribution-recorder-mode", "all"}).find("--expert-distribution-recorder-mode"), std::string::npos);
  EXPECT_NE(refused({"--eplb-algorithm", "best"}).find("--eplb-algorithm"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::integration
