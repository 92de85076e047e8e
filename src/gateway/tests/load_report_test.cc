#include "gateway/tests/gateway_world.h"

#include "codec/gateway_report.h"

namespace flexpert::gateway {
namespace {

const std::string kChat = R"({"model":"m","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"hi"}]})";

/// A controller that streams snapshots and takes reports, and an engine that it may bring in.
class LoadReportTest : public GatewayWorld {
 protected:
  LoadReportTest() {
    snapshot.pools = {{"chat", "m", 0, 0}};
    config.gateway.controller = controller.address();
  }

  void publish() {
    ++snapshot.revision;
    for (auto& watcher : watchers) watcher.write(codec::encode(snapshot) + "\n");
  }
  void bring_engine(InstanceState state = InstanceState::kReady) {
    InstanceStatus status;
    status.id = {"serve-0"};
    status.state = state;
    status.model = "m";
    status.address = engine.address();
    snapshot.instances = {status};
    publish();
  }
  [[nodiscard]] const codec::GatewayModelLoad* newest() const {
    return reports.empty() || reports.back().models.empty() ? nullptr : &reports.back().models[0];
  }

  FleetSnapshot snapshot;
  std::vector<http::Responder> watchers;
  std::vector<codec::GatewayReport> reports;
  FakeServer controller{loop, [this](const http::Request& request, http::Responder responder) {
                          if (request.method == "GET") {
                            responder.start(200, {});
                            responder.write(codec::encode(snapshot) + "\n");
                            watchers.push_back(responder);
                            return;
                          }
                          EXPECT_EQ(request.target, "/internal/gateway-report");
                          auto report = codec::decode_gateway_report(request.body);
                          EXPECT_TRUE(report) << report.error().message;
                          if (report) reports.push_back(*report);
                          responder.respond({204, {}, ""});
                        }};
  std::optional<http::Responder> stream;
  FakeServer engine{loop, [this](const http::Request& request, http::Responder responder) {
                      if (request.body.find("\"stream\":true") == std::string::npos)
                        return responder.respond(http::json_response(200, R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":9,"completion_tokens":4}})"));
                      stream = responder;
                      http::Headers headers;
                      headers.add("Content-Type", "text/event-stream");
                      stream->start(200, headers);
                    }};
  config::FleetConfig config = open_config();
  GatewayTimings timings{.recovery_wait = Milliseconds(100), .expert_timeout = Seconds(2), .report_period = Milliseconds(20)};
};

TEST_F(LoadReportTest, ARequestForAPoolAtZeroIsHeldAndToldOfAtOnceAndServedWhenAnInstanceComes) {
  timings.report_period = Seconds(3600);
  start(config, timings);
  ASSERT_TRUE(until([&] { return !reports.empty() && !watchers.empty(); }));
  EXPECT_NE(call("GET", "/v1/models")->body.find("\"m\""), std::string::npos);
  const auto seen = send("POST", "/v1/chat/completions", R"({"model":"m","messages":[]})");
  ASSERT_TRUE(until([&] { return newest() != nullptr && newest()->held == 1; }));
  EXPECT_EQ(newest()->offered, 1U);
  EXPECT_EQ(metric(R"(flexpert_gateway_held{model="m"})"), 1);
  bring_engine(InstanceState::kStarting);
  bring_engine();
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_EQ(seen->status, 200) << seen->body;
  EXPECT_EQ(metric(R"(flexpert_gateway_held{model="m"})"), 0);
}

TEST_F(LoadReportTest, ARequestIsHeldNoLongerThanConfigured) {
  config.gateway.hold_s = 0.05;
  start(config, timings);
  ASSERT_TRUE(until([&] { return !watchers.empty(); }));
  const auto seen = call("POST", "/v1/chat/completions", kChat);
  EXPECT_EQ(seen->status, 503);
  EXPECT_EQ(seen->headers.find("Retry-After"), "10");
  ASSERT_TRUE(until([&] { return newest() != nullptr && newest()->failed == 1; }));
  EXPECT_EQ(newest()->held, 0U);
  EXPECT_EQ(call("POST", "/v1/chat/completions", R"({"model":"other"})")->status, 404);
}

TEST_F(LoadReportTest, AClientThatGoesIsHeldNoMore) {
  start(config, timings);
  ASSERT_TRUE(until([&] { return !watchers.empty(); }));
  const auto seen = send("POST", "/v1/chat/completions", kChat);
  ASSERT_TRUE(until([&] { return newest() != nullptr && newest()->held == 1; }));
  client.cancel(seen->id);
  ASSERT_TRUE(until([&] { return newest()->held == 0; }));
  EXPECT_EQ(newest()->failed, 0U);
}

TEST_F(LoadReportTest, AStreamIsMeasured) {
  bring_engine();
  start_and_wait(config, timings);
  const auto seen = send("POST", "/v1/chat/completions", kChat);
  ASSERT_TRUE(until([&] { return stream.has_value() && newest() != nullptr && newest()->in_flight == 1; }));
  ASSERT_EQ(reports.back().servers.size(), 1U);
  EXPECT_EQ(reports.back().servers[0].id, "serve-0");
  EXPECT_EQ(reports.back().servers[0].remaining_tokens, 50);
  for (int i = 0; i < 5; ++i) {
    stream->write("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n");
    ASSERT_TRUE(until([&] { return seen->pieces.size() == static_cast<std::size_t>(i) + 1; }));
  }
  ASSERT_TRUE(until([&] { return reports.back().servers.size() == 1 && reports.back().servers[0].remaining_tokens == 45; }));
  stream->write("data: [DONE]\n\n");
  stream->finish();
  ASSERT_TRUE(until([&] { return newest()->finished == 1 && newest()->in_flight == 0; }));
  EXPECT_EQ(newest()->osl, (codec::GatewaySum{5, 1}));
  EXPECT_EQ(newest()->itl_s.count, 4U);
  EXPECT_GT(newest()->itl_s.sum, 0);
  EXPECT_EQ(newest()->ttft_s.count, 1U);
  EXPECT_EQ(newest()->isl_estimated, 1U);
  EXPECT_NEAR(newest()->isl.sum, static_cast<double>(kChat.size()) / 4, 1e-9);
  EXPECT_GT(newest()->in_flight_s, 0);
  EXPECT_TRUE(reports.back().servers.empty());
}

TEST_F(LoadReportTest, UsageIsTakenWhereItIsGivenAndTeachesTheEstimate) {
  bring_engine();
  start_and_wait(config, timings);
  const std::string body = R"({"model":"m","messages":[{"role":"user","content":"hello there"}]})";
  EXPECT_EQ(call("POST", "/v1/chat/completions", body)->status, 200);
  ASSERT_TRUE(until([&] { return newest() != nullptr && newest()->finished == 1; }));
  EXPECT_EQ(newest()->isl, (codec::GatewaySum{9, 1}));
  EXPECT_EQ(newest()->osl, (codec::GatewaySum{4, 1}));
  EXPECT_EQ(newest()->isl_estimated, 0U);
  EXPECT_EQ(newest()->ttft_s.count, 0U);
  const auto seen = send("POST", "/v1/chat/completions", kChat);
  ASSERT_TRUE(until([&] { return stream.has_value(); }));
  stream->write("data: [DONE]\n\n");
  stream->finish();
  ASSERT_TRUE(until([&] { return newest()->finished == 2; }));
  EXPECT_NEAR(newest()->isl.sum, 9 + static_cast<double>(kChat.size()) * 9 / static_cast<double>(body.size()), 1e-9);
}

TEST_F(LoadReportTest, ReportsGoOnOverAControllersRestart) {
  start(config, timings);
  ASSERT_TRUE(until([&] { return reports.size() > 1; }));
  controller.stop();
  watchers.clear();
  const std::uint64_t before = reports.back().sequence;
  for (int i = 0; i < 10; ++i) loop.run_once(Milliseconds(10));
  controller.restart();
  ASSERT_TRUE(until([&] { return reports.back().sequence > before + 1; }));
  EXPECT_EQ(reports.back().boot, reports.front().boot);
  EXPECT_NE(reports.back().gateway.find(address.to_string() + "@"), std::string::npos) << reports.back().gateway;
  EXPECT_GE(metric("flexpert_gateway_controller_connected"), 0);
}

TEST_F(LoadReportTest, AGatewayThatDrainsSaysSoAtOnce) {
  timings.report_period = Seconds(3600);
  start(config, timings);
  ASSERT_TRUE(until([&] { return reports.size() == 1; }));
  EXPECT_FALSE(reports.back().leaving);
  gateway->drain(Seconds(5), [] {});
  ASSERT_TRUE(until([&] { return reports.size() == 2; }));
  EXPECT_TRUE(reports.back().leaving);
}

TEST_F(LoadReportTest, TheGatewaysOwnMetricsTellConnectionsAndCpu) {
  start(config, timings);
  call("GET", "/v1/models");
  const auto seen = probe("/metrics");
  EXPECT_NE(seen->body.find("flexpert_gateway_connections 1"), std::string::npos);
  EXPECT_GT(metric("process_cpu_seconds_total"), 0);
}

}  // namespace
}  // namespace flexpert::gateway
