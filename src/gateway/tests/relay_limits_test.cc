#include <optional>

#include <poll.h>
#include <sys/socket.h>

#include "gateway/tests/gateway_world.h"
#include "net/socket.h"

namespace flexpert::gateway {
namespace {

const std::string kChat = R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]})";

/// Servers that refuse, and clients that do not read.
class RelayLimitsTest : public GatewayWorld {};

TEST_F(RelayLimitsTest, ARequestThatADrainingServerRefusesGoesToAnotherOne) {
  const auto refuse = [](const http::Request&, http::Responder responder) { responder.respond(http::json_response(503, R"({"error":"draining"})")); };
  FakeServer draining(loop, refuse);
  FakeServer good(loop, [](const http::Request&, http::Responder responder) { responder.respond(http::json_response(200, "{}")); });
  start_and_wait(config_for({&draining, &good}));
  ASSERT_TRUE(until([&] {
    return metric(R"(flexpert_gateway_upstream_ready{upstream="up-0"})") == 1 && metric(R"(flexpert_gateway_upstream_ready{upstream="up-1"})") == 1;
  }));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(call("POST", "/v1/chat/completions", kChat)->status, 200);
  EXPECT_GE(draining.requests.size(), 1U);
  EXPECT_EQ(good.requests.size(), 4U);
  EXPECT_EQ(metric(R"(flexpert_gateway_retries_total{reason="refused"})"), static_cast<double>(draining.requests.size()));
  EXPECT_EQ(metric(R"(flexpert_gateway_requests_total{route="/v1/chat/completions",status="200"})"), 4);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(RelayLimitsTest, ARefusalOfTheOnlyServerIsPassedOn) {
  FakeServer full(loop, [](const http::Request&, http::Responder responder) { responder.respond(http::json_response(503, R"({"error":"full"})")); });
  start_and_wait(config_for({&full}));
  const auto seen = call("POST", "/v1/chat/completions", kChat);
  EXPECT_EQ(seen->status, 503);
  EXPECT_EQ(seen->body, R"({"error":"full"})");
  EXPECT_EQ(full.requests.size(), 1U);
}

TEST_F(RelayLimitsTest, AClientThatDoesNotReadIsCutOffAndTheServerStops) {
  std::optional<http::Responder> stream;
  bool server_lost_its_client = false;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) {
    stream = responder;
    http::Headers headers;
    headers.add("Content-Type", "text/event-stream");
    stream->start(200, headers);
    stream->on_disconnect([&] { server_lost_its_client = true; });
  });
  auto config = config_for({&upstream});
  config.gateway.edge.write_timeout_s = 0.2;
  start_and_wait(config);
  auto fd = net::start_connect(address);
  ASSERT_TRUE(fd) << fd.error().message;
  pollfd writable{.fd = fd->get(), .events = POLLOUT, .revents = 0};
  ASSERT_EQ(::poll(&writable, 1, 10000), 1);
  const std::string request = fmt::format("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", kChat.size(), kChat);
  ASSERT_EQ(::send(fd->get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  ASSERT_TRUE(until([&] { return stream && stream->started(); }));
  const std::string piece = "data: " + std::string(60000, 'x') + "\n\n";
  std::size_t written = 0;
  // The gateway keeps no more than its bound of it, and has the server wait: then the client's time is over.
  EXPECT_TRUE(until([&] {
    if (stream->buffered_bytes() == 0 && !server_lost_its_client) {
      stream->write(piece);
      written += piece.size();
    }
    return server_lost_its_client;
  }));
  EXPECT_LT(written, 64U << 20);
  EXPECT_TRUE(until([&] { return gateway->load() == 0; }));
}

}  // namespace
}  // namespace flexpert::gateway
