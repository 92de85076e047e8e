#include "gateway/tests/gateway_world.h"

namespace flexpert::gateway {
namespace {

const std::string kChat = R"({"model":"m","messages":[{"role":"user","content":"hi"}], "odd" : 1.50})";

class RelayTest : public GatewayWorld {};

TEST_F(RelayTest, TheBodyGoesOnByteForByteAndTheAnswerComesBack) {
  FakeServer upstream(loop, answer_ok);
  start_and_wait(config_for({&upstream}));
  const auto seen = call("POST", "/v1/chat/completions?x=1", kChat);
  EXPECT_EQ(seen->status, 200);
  EXPECT_EQ(seen->body, R"({"ok":true})");
  ASSERT_EQ(upstream.requests.size(), 1U);
  EXPECT_EQ(upstream.requests[0].body, kChat);
  EXPECT_EQ(upstream.requests[0].target, "/v1/chat/completions?x=1");
  EXPECT_EQ(gateway->load(), 0U);
  EXPECT_EQ(metric(R"(flexpert_gateway_requests_total{route="/v1/chat/completions",status="200"})"), 1);
}

TEST_F(RelayTest, HeadsAreRebuiltWithoutHopByHopAndInternalHeaders) {
  FakeServer upstream(loop, [](const http::Request&, http::Responder responder) {
    http::Response response = http::json_response(200, "{}");
    response.headers.add("X-Flexpert-Secret", "1");
    response.headers.add("X-Kept", "yes");
    responder.respond(std::move(response));
  });
  start_and_wait(config_for({&upstream}));
  http::Headers headers;
  headers.add("X-Flexpert-Identity", "forged");
  headers.add("X-Expert-Access-Token", "PREMIUM_USER_TOKEN");
  headers.add("Authorization", "Bearer k");
  const auto seen = call("POST", "/v1/completions", kChat, headers);
  ASSERT_EQ(upstream.requests.size(), 1U);
  const http::Headers& got = upstream.requests[0].headers;
  EXPECT_FALSE(got.find("X-Flexpert-Identity"));
  EXPECT_FALSE(got.find("X-Expert-Access-Token"));
  EXPECT_FALSE(got.find("Authorization"));
  EXPECT_TRUE(got.find("X-Request-Id"));
  EXPECT_EQ(seen->headers.find("X-Request-Id"), got.find("X-Request-Id"));
  EXPECT_FALSE(seen->headers.find("X-Flexpert-Secret"));
  EXPECT_EQ(seen->headers.find("X-Kept"), "yes");
}

TEST_F(RelayTest, AStreamIsRelayedPieceByPieceAsItComes) {
  std::vector<http::Responder> held;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) {
    responder.start(200, event_stream());
    responder.write("data: 1\n\n");
    held.push_back(responder);
  });
  start_and_wait(config_for({&upstream}));
  const auto seen = send("POST", "/v1/chat/completions", kStreamed);
  // The first piece arrives while the second is not even written.
  ASSERT_TRUE(until([&] { return seen->body == "data: 1\n\n"; }));
  EXPECT_FALSE(seen->over());
  EXPECT_EQ(gateway->load(), 1U);
  held[0].write("data: [DONE]\n\n");
  ASSERT_TRUE(until([&] { return seen->body == "data: 1\n\ndata: [DONE]\n\n"; }));
  held[0].finish();
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_TRUE(seen->ended);
  EXPECT_EQ(gateway->load(), 0U);
  EXPECT_EQ(metric("flexpert_gateway_ttft_seconds_count"), 1);
  EXPECT_EQ(metric("flexpert_gateway_itl_seconds_count"), 1);
}

TEST_F(RelayTest, AServerThatDiesInAStreamCostsAnErrorEventAndNeverACleanEnd) {
  std::vector<http::Responder> held;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) {
    responder.start(200, event_stream());
    responder.write("data: 1\n\ndata: {\"half");
    held.push_back(responder);
  });
  start_and_wait(config_for({&upstream}));
  const auto seen = send("POST", "/v1/chat/completions", kStreamed);
  ASSERT_TRUE(until([&] { return !seen->body.empty(); }));
  held[0].abort();
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_TRUE(seen->failed);
  EXPECT_NE(seen->body.find("\n\ndata: {\"error\":"), std::string::npos) << seen->body;
  EXPECT_NE(seen->body.find("stream_broken"), std::string::npos);
  EXPECT_TRUE(until([&] { return gateway->load() == 0; }));
  EXPECT_EQ(upstream.requests.size(), 1U);
}

TEST_F(RelayTest, AServerThatDiesBeforeTheFirstByteIsReplacedWithoutTheClientsNotice) {
  int deaths = 0;
  FakeServer dying(loop, [&](const http::Request&, http::Responder responder) {
    ++deaths;
    responder.abort();
  });
  FakeServer good(loop, answer_ok);
  start_and_wait(config_for({&dying, &good}));
  ASSERT_TRUE(until([&] { return metric(R"(flexpert_gateway_upstream_ready{upstream="up-0"})") == 1 && metric(R"(flexpert_gateway_upstream_ready{upstream="up-1"})") == 1; }));
  const auto seen = call("POST", "/v1/chat/completions", kChat);
  EXPECT_EQ(seen->status, 200);
  EXPECT_GE(deaths, 1);  // once more if it was on a kept connection, which may have been closed before
  EXPECT_EQ(good.requests.size(), 1U);
  EXPECT_EQ(good.requests[0].body, kChat);
}

TEST_F(RelayTest, AStreamThatDiesBetweenItsHeadAndItsFirstByteIsReplacedToo) {
  std::vector<http::Responder> held;
  FakeServer dying(loop, [&](const http::Request&, http::Responder responder) {
    responder.start(200, event_stream());
    held.push_back(responder);
  });
  FakeServer good(loop, [](const http::Request&, http::Responder responder) {
    responder.start(200, event_stream());
    responder.write("data: [DONE]\n\n");
    responder.finish();
  });
  start_and_wait(config_for({&dying, &good}));
  ASSERT_TRUE(until([&] { return metric(R"(flexpert_gateway_upstream_ready{upstream="up-1"})") == 1; }));
  const auto seen = send("POST", "/v1/chat/completions", kStreamed);
  ASSERT_TRUE(until([&] { return !held.empty(); }));
  held[0].abort();
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_TRUE(seen->ended);
  EXPECT_EQ(seen->body, "data: [DONE]\n\n");
}

TEST_F(RelayTest, ASingleServerThatRestartsIsWaitedFor) {
  FakeServer upstream(loop, answer_ok);
  start_and_wait(config_for({&upstream}));
  upstream.stop();
  const auto seen = send("POST", "/v1/chat/completions", kChat);
  ASSERT_TRUE(until([&] { return !gateway->ready(); }));
  EXPECT_FALSE(seen->over());
  upstream.restart();
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_EQ(seen->status, 200);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RelayTest, ASingleServerThatStaysAwayGives503WithRetryAfter) {
  FakeServer upstream(loop, answer_ok);
  start_and_wait(config_for({&upstream}), {.recovery_wait = Milliseconds(300)});
  upstream.stop();
  const auto seen = call("POST", "/v1/chat/completions", kChat);
  EXPECT_EQ(seen->status, 503);
  EXPECT_TRUE(seen->headers.find("Retry-After"));
  EXPECT_EQ(probe("/ready")->status, 503);
  EXPECT_EQ(probe("/health")->status, 200);
}

TEST_F(RelayTest, AClientThatGoesAwayCancelsItsUpstreamRequestAtOnce) {
  bool upstream_saw_it = false;
  std::vector<http::Responder> held;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) {
    responder.on_disconnect([&] { upstream_saw_it = true; });
    held.push_back(responder);
  });
  start_and_wait(config_for({&upstream}));
  const auto seen = send("POST", "/v1/chat/completions", kChat);
  ASSERT_TRUE(until([&] { return !held.empty(); }));
  EXPECT_EQ(gateway->load(), 1U);
  client.cancel(seen->id);
  EXPECT_TRUE(until([&] { return upstream_saw_it; }));
  EXPECT_EQ(gateway->load(), 0U);
  EXPECT_EQ(metric(R"(flexpert_gateway_requests_total{route="/v1/chat/completions",status="499"})"), 1);
}

TEST_F(RelayTest, AnUpstreamsOwnErrorIsPassedOn) {
  FakeServer upstream(loop, [](const http::Request&, http::Responder responder) { responder.respond(http::json_response(500, R"({"error":"x"})")); });
  start_and_wait(config_for({&upstream}));
  const auto seen = call("POST", "/v1/chat/completions", kChat);
  EXPECT_EQ(seen->status, 500);
  EXPECT_EQ(seen->body, R"({"error":"x"})");
  EXPECT_EQ(upstream.requests.size(), 1U);
}

TEST_F(RelayTest, ASlowServerGetsFewerRequestsThanAnIdleOne) {
  std::vector<http::Responder> held;
  FakeServer slow(loop, [&](const http::Request&, http::Responder responder) { held.push_back(responder); });
  FakeServer quick(loop, answer_ok);
  start_and_wait(config_for({&slow, &quick}));
  ASSERT_TRUE(until([&] { return metric(R"(flexpert_gateway_upstream_ready{upstream="up-0"})") == 1 && metric(R"(flexpert_gateway_upstream_ready{upstream="up-1"})") == 1; }));
  std::vector<std::shared_ptr<Seen>> seen;
  for (int i = 0; i < 10; ++i) {
    const std::size_t held_before = held.size();
    seen.push_back(send("POST", "/v1/chat/completions", kChat));
    ASSERT_TRUE(until([&] { return seen.back()->over() || held.size() > held_before; }));
  }
  EXPECT_EQ(quick.requests.size(), 9U);
  EXPECT_EQ(slow.requests.size(), 1U);
  held[0].respond(http::json_response(200, "{}"));
  EXPECT_TRUE(until([&] { return gateway->load() == 0; }));
}

TEST_F(RelayTest, BadRequestsGetPreciseErrorsAndReachNoServer) {
  FakeServer upstream(loop, answer_ok);
  auto config = config_for({&upstream});
  config.gateway.max_body_bytes = 2000;
  start_and_wait(config);
  const auto expect = [&](const std::string& body, int status, const std::string& message) {
    const auto seen = call("POST", "/v1/chat/completions", body);
    EXPECT_EQ(seen->status, status) << body;
    EXPECT_NE(seen->body.find(message), std::string::npos) << seen->body;
  };
  expect("{", 400, "not valid JSON");
  expect("{", 400, R"("code":"invalid_json")");
  expect("", 400, "not valid JSON");
  expect("[]", 400, "must be a JSON object");
  expect("{}", 400, "model: missing");
  expect(R"({"model":5})", 400, "model: must be a non-empty string");
  expect(R"({"model":5})", 400, R"("param":"model","code":"invalid_type")");
  expect(R"({"model":"m","model":"n"})", 400, "model: given twice");
  expect(R"({"model":"m","stream":"yes"})", 400, "stream: must be true or false");
  expect(R"({"model":"nope"})", 404, "model_not_found");
  expect(R"({"model":"m","x":")" + std::string(3000, 'x') + "\"}", 413, "error");
  EXPECT_TRUE(upstream.requests.empty());
  EXPECT_EQ(call("GET", "/nowhere")->status, 404);
  EXPECT_EQ(call("GET", "/v1/models/m")->status, 200);
  EXPECT_NE(call("GET", "/v1/models/m")->body.find(R"({"id":"m","object":"model")"), std::string::npos);
  EXPECT_EQ(call("GET", "/v1/models/no%2Fsuch")->status, 404);
  EXPECT_EQ(call("DELETE", "/v1/models/m")->status, 405);
  const auto wrong_method = call("GET", "/v1/chat/completions");
  EXPECT_EQ(wrong_method->status, 405);
  EXPECT_EQ(wrong_method->headers.find("Allow"), "POST, OPTIONS");
}

TEST_F(RelayTest, ModelListsAreMergedAndRequestsFollowThem) {
  FakeServer first(loop, answer_ok);
  FakeServer second(loop, answer_ok);
  second.models = R"({"data":[{"id":"n"},{"id":"m"}]})";
  start_and_wait(config_for({&first, &second}));
  ASSERT_TRUE(until([&] { return call("GET", "/v1/models")->body.find("\"n\"") != std::string::npos; }));
  const std::string body = call("GET", "/v1/models")->body;
  EXPECT_LT(body.find("\"id\":\"m\""), body.find("\"id\":\"n\""));
  EXPECT_EQ(body.find("\"id\":\"m\""), body.rfind("\"id\":\"m\""));
  EXPECT_EQ(call("POST", "/v1/completions", R"({"model":"n"})")->status, 200);
  EXPECT_EQ(second.requests.size(), 1U);
}

TEST_F(RelayTest, AnUnwellUpstreamGetsNothingUntilItIsWellAgain) {
  FakeServer sick(loop, answer_ok);
  FakeServer well(loop, answer_ok);
  sick.healthy = false;
  start_and_wait(config_for({&sick, &well}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(call("POST", "/v1/completions", kChat)->status, 200);
  EXPECT_TRUE(sick.requests.empty());
  sick.healthy = true;
  ASSERT_TRUE(until([&] { return metric(R"(flexpert_gateway_upstream_ready{upstream="up-0"})") == 1; }));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(call("POST", "/v1/completions", kChat)->status, 200);
  EXPECT_EQ(sick.requests.size() + well.requests.size(), 8U);
  EXPECT_GE(sick.requests.size(), 2U);
}

TEST_F(RelayTest, AHealthPathThatIsNotThereFallsBackToTheModelList) {
  FakeServer upstream(loop, answer_ok);
  auto config = config_for({&upstream});
  config.upstreams[0].health_path = "/no-such-path";
  FakeServer without_path(loop, [](const http::Request& request, http::Responder responder) {
    responder.respond(request.path() == "/no-such-path" ? http::json_response(404, "{}") : http::json_response(200, "{}"));
  });
  config.upstreams[0].url = "http://" + without_path.address();
  start_and_wait(config);
  EXPECT_EQ(call("POST", "/v1/completions", kChat)->status, 200);
}

TEST_F(RelayTest, AnUpstreamThatSendsNothingInTimeGives504) {
  std::vector<http::Responder> held;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) { held.push_back(responder); });
  auto config = config_for({&upstream});
  config.gateway.upstream_timeout_s = 0.2;
  start_and_wait(config);
  EXPECT_EQ(call("POST", "/v1/chat/completions", kChat)->status, 504);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RelayTest, TheFleetOfTheControllerIsFollowedAndKeptWhileItIsAway) {
  FakeServer model_server(loop, answer_ok);
  FakeController controller(loop);
  controller.snapshot.model = "m";
  config::FleetConfig config = open_config();
  config.gateway.controller = controller.server.address();
  start(config, {.recovery_wait = Milliseconds(200)});
  EXPECT_EQ(call("POST", "/v1/completions", kChat)->status, 404);
  controller.snapshot.instances.push_back({.id = {"model-0"}, .role = InstanceRole::kModelServer, .state = InstanceState::kReady, .model = "m",
                                           .address = model_server.address(), .pid = 7, .last_error = {}});
  controller.publish();
  ASSERT_TRUE(until([&] { return gateway->ready(); }));
  EXPECT_EQ(call("POST", "/v1/completions", kChat)->status, 200);
  controller.watchers.clear();
  controller.server.stop();
  ASSERT_TRUE(until([&] { return metric("flexpert_gateway_controller_connected") == 0; }));
  EXPECT_EQ(call("POST", "/v1/completions", kChat)->status, 200);
  controller.snapshot.instances[0].state = InstanceState::kDraining;
  controller.server.restart();
  ASSERT_TRUE(until([&] { return !gateway->ready(); }));
  EXPECT_EQ(call("POST", "/v1/completions", kChat)->status, 503);
}

TEST_F(RelayTest, TheModelOfAFleetThatIsStillStartingIs503AndAnUnknownOne404) {
  FakeController controller(loop);
  config::FleetConfig config = open_config();
  config.model.emplace().name = "m";
  config.gateway.controller = controller.server.address();
  start(config, {.recovery_wait = Milliseconds(200)});
  EXPECT_EQ(call("POST", "/v1/completions", R"({"model":"m"})")->status, 503);
  EXPECT_EQ(call("POST", "/v1/completions", R"({"model":"n"})")->status, 404);
  controller.server.stop();
}

TEST_F(RelayTest, WithoutAnyWordOfTheControllerNoModelIsSaidNotToExist) {
  FakeController controller(loop);
  config::FleetConfig config = open_config();
  config.gateway.controller = controller.server.address();
  controller.server.stop();
  start(config, {.recovery_wait = Milliseconds(200)});
  EXPECT_EQ(call("POST", "/v1/completions", R"({"model":"n"})")->status, 503);
}

TEST_F(RelayTest, DrainingFinishesWhatIsThereAndSaysNotReady) {
  std::vector<http::Responder> held;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) { held.push_back(responder); });
  start_and_wait(config_for({&upstream}));
  const auto seen = send("POST", "/v1/chat/completions", kChat);
  ASSERT_TRUE(until([&] { return !held.empty(); }));
  bool done = false;
  gateway->drain(Seconds(5), [&] { done = true; });
  EXPECT_FALSE(gateway->ready());
  loop.run_once(Milliseconds(10));
  EXPECT_FALSE(done);
  held[0].respond(http::json_response(200, "{}"));
  ASSERT_TRUE(until([&] { return done && seen->over(); }));
  EXPECT_EQ(seen->status, 200);
}

TEST_F(RelayTest, AGatewayMayGoWhileRequestsAreInFlight) {
  std::vector<http::Responder> held;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) { held.push_back(responder); });
  start_and_wait(config_for({&upstream}));
  const auto seen = send("POST", "/v1/chat/completions", kChat);
  ASSERT_TRUE(until([&] { return !held.empty(); }));
  gateway.reset();
  EXPECT_TRUE(until([&] { return seen->over(); }));
  EXPECT_EQ(metric("flexpert_gateway_in_flight"), 0);
}

}  // namespace
}  // namespace flexpert::gateway
