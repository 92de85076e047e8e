// The request path from a client's head to the last byte of the answer: what is refused when, what goes on, what comes back.
#include <poll.h>
#include <sys/socket.h>

#include "gateway/tests/gateway_world.h"
#include "net/socket.h"

namespace flexpert::gateway {
namespace {

const std::string kChat = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";

class ExchangeTest : public GatewayWorld {
 protected:
  /// Sends bytes as they are and returns what comes back until `enough` of it is there or the connection ends.
  std::string raw(const std::string& bytes, const std::function<bool(const std::string&)>& enough) {
    auto fd = net::start_connect(address);
    EXPECT_TRUE(fd);
    pollfd ready{.fd = fd->get(), .events = POLLOUT, .revents = 0};
    EXPECT_EQ(::poll(&ready, 1, 5000), 1);
    EXPECT_EQ(::send(fd->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    std::string got;
    bool ended = false;
    EXPECT_TRUE(until([&] {
      char buffer[4096];
      const ssize_t count = ::recv(fd->get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (count > 0) got.append(buffer, static_cast<std::size_t>(count));
      ended = count == 0;
      return ended || enough(got);
    })) << got;
    return got;
  }
  /// Callers without credentials get the models that `names` say, and no others.
  static void allow_only(config::FleetConfig& config, std::vector<std::string> names) {
    auth::Role role;
    role.name = "few";
    role.models = std::move(names);
    config.access.rules.roles.push_back(role);
    config.access.anonymous_roles = config.access.rules.anonymous_roles = {"few"};
  }
};

TEST_F(ExchangeTest, WhoeverShowsNoCredentialIsRefusedBeforeHisBodyComes) {
  FakeServer upstream(loop, answer_ok);
  auto config = config_for({&upstream});
  config.access.anonymous = config.access.rules.anonymous = false;
  start_and_wait(config);
  const std::string answer = raw("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
                                 [](const std::string& got) { return got.find("invalid_request_error") != std::string::npos; });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 ")) << answer;
  EXPECT_NE(answer.find("WWW-Authenticate: Bearer"), std::string::npos);
  EXPECT_EQ(call("GET", "/v1/models")->status, 401);
  EXPECT_EQ(metric("flexpert_gateway_authentication_failures_total"), 2);
  EXPECT_EQ(metric("flexpert_gateway_in_flight"), 0);
  EXPECT_TRUE(upstream.requests.empty());
}

TEST_F(ExchangeTest, CompressedBodiesAreRefusedBeforeTheyCome) {
  FakeServer upstream(loop, answer_ok);
  start_and_wait(config_for({&upstream}));
  http::Headers headers;
  headers.add("Content-Encoding", "gzip");
  EXPECT_EQ(call("POST", "/v1/chat/completions", kChat, headers)->status, 415);
  headers.set("Content-Encoding", "identity");
  EXPECT_EQ(call("POST", "/v1/chat/completions", kChat, headers)->status, 200);
  EXPECT_EQ(upstream.requests.size(), 1U);
}

TEST_F(ExchangeTest, OptionsAndHeadSayWhatThereIsWithoutABody) {
  FakeServer upstream(loop, answer_ok);
  start_and_wait(config_for({&upstream}));
  const auto options = call("OPTIONS", "/v1/chat/completions");
  EXPECT_EQ(options->status, 204);
  EXPECT_EQ(options->headers.find("Allow"), "POST, OPTIONS");
  const std::string head = raw("HEAD /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [](const std::string&) { return false; });
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 ")) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_TRUE(upstream.requests.empty());
}

TEST_F(ExchangeTest, ProbesAreNotOnTheClientsListener) {
  FakeServer upstream(loop, answer_ok);
  start_and_wait(config_for({&upstream}));
  for (const char* path : {"/health", "/ready", "/metrics"}) {
    EXPECT_EQ(call("GET", path)->status, 404) << path;
    EXPECT_EQ(probe(path)->status, 200) << path;
  }
  EXPECT_EQ(probe("/v1/models")->status, 404);
}

TEST_F(ExchangeTest, ACallerSeesAndUsesOnlyHisModels) {
  FakeServer upstream(loop, answer_ok);
  upstream.models = R"({"data":[{"id":"m"},{"id":"secret"}]})";
  auto config = config_for({&upstream});
  allow_only(config, {"m"});
  start_and_wait(config);
  EXPECT_EQ(call("GET", "/v1/models")->body.find("secret"), std::string::npos);
  EXPECT_EQ(call("GET", "/v1/models/secret")->status, 404);
  const auto hidden = call("POST", "/v1/chat/completions", R"({"model":"secret"})");
  const auto absent = call("POST", "/v1/chat/completions", R"({"model":"absent"})");
  EXPECT_EQ(hidden->status, 404);
  std::string as_absent = hidden->body;
  as_absent.replace(as_absent.find("secret"), 6, "absent");
  EXPECT_EQ(as_absent, absent->body) << "nobody learns which models there are";
  EXPECT_EQ(call("POST", "/v1/chat/completions", kChat)->status, 200);
}

TEST_F(ExchangeTest, TextInAPromptNeitherChoosesTheModelNorTheUser) {
  FakeServer first(loop, answer_ok);
  FakeServer second(loop, answer_ok);
  second.models = R"({"data":[{"id":"other"}]})";
  start_and_wait(config_for({&first, &second}));
  ASSERT_TRUE(until([&] { return call("GET", "/v1/models")->body.find("other") != std::string::npos; }));
  const std::string body = R"({"messages":[{"content":"\"model\":\"other\"","model":"other"}],"metadata":{"model":"other"},"model":"m"})";
  EXPECT_EQ(call("POST", "/v1/chat/completions", body)->status, 200);
  EXPECT_EQ(first.requests.size(), 1U);
  EXPECT_EQ(first.requests[0].body, body);
  EXPECT_TRUE(second.requests.empty());
}

TEST_F(ExchangeTest, AnswersThatAreNotStreamsAreRelayedAsTheyComeToo) {
  std::vector<http::Responder> held;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) {
    responder.start(200, {});
    responder.write("[1,");
    held.push_back(responder);
  });
  start_and_wait(config_for({&upstream}));
  const auto seen = send("POST", "/v1/embeddings", R"({"model":"m","input":"x"})");
  ASSERT_TRUE(until([&] { return seen->body == "[1,"; }));
  EXPECT_FALSE(seen->over());
  held[0].write("2]");
  held[0].finish();
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_TRUE(seen->ended);
  EXPECT_EQ(seen->body, "[1,2]");
}

TEST_F(ExchangeTest, AConnectionServesOneRequestAfterAnother) {
  FakeServer upstream(loop, answer_ok);
  start_and_wait(config_for({&upstream}));
  const std::string one = fmt::format("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", kChat.size(), kChat);
  const std::string bad = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
  const auto count = [](const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  };
  const std::string got = raw(one + bad + one, [&](const std::string& text) { return count(text, "HTTP/1.1 ") == 3 && text.ends_with("{\"ok\":true}"); });
  EXPECT_EQ(count(got, "HTTP/1.1 200 "), 2U) << got;
  EXPECT_EQ(count(got, "HTTP/1.1 400 "), 1U);
  EXPECT_EQ(upstream.requests.size(), 2U);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(ExchangeTest, ASilentStreamGetsCommentsBetweenItsEventsAndNeverInsideOne) {
  std::vector<http::Responder> held;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) {
    responder.start(200, event_stream());
    responder.write("data: 1\n\n");
    held.push_back(responder);
  });
  auto config = config_for({&upstream});
  config.gateway.edge.heartbeat_s = 0.04;
  start_and_wait(config);
  const auto seen = send("POST", "/v1/chat/completions", kStreamed);
  ASSERT_TRUE(until([&] { return seen->body.find("data: 1\n\n: keep-alive\n\n: keep-alive\n\n") == 0; }));
  held[0].write("data: {\"half");
  ASSERT_TRUE(until([&] { return seen->body.ends_with("half"); }));
  const TimePoint long_enough = clock.now() + Milliseconds(150);
  ASSERT_TRUE(until([&] { return clock.now() > long_enough; }));
  EXPECT_TRUE(seen->body.ends_with("data: {\"half"));
  held[0].write("\"}\n\ndata: [DONE]\n\n");
  held[0].finish();
  ASSERT_TRUE(until([&] { return seen->over(); }));
  EXPECT_TRUE(seen->ended);
}

TEST_F(ExchangeTest, AStreamThatOnlyTheConnectionEndsIsWholeWithItsLastEventAndBrokenWithoutIt) {
  std::string text;
  std::string length;
  net::UniqueFd listening = std::move(*net::listen_on(*net::Address::parse("127.0.0.1:0")));
  const auto at = *net::bound_address(listening.get(), *net::Address::parse("127.0.0.1:0"));
  config::FleetConfig config = open_config();
  config::UpstreamConfig entry;
  entry.name = "raw";
  entry.url = "http://" + at.to_string();
  entry.models = {"m"};
  config.upstreams.push_back(entry);
  std::vector<net::UniqueFd> taken;
  // Answers health checks and requests alike, and ends every connection.
  const auto serve = [&] {
    const int fd = ::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) taken.emplace_back(fd);
    for (auto& connection : taken) {
      char buffer[4096];
      if (!connection || ::recv(connection.get(), buffer, sizeof buffer, MSG_DONTWAIT) <= 0) continue;
      const std::string answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + length + "\r\n" + text;
      EXPECT_GT(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL), 0);
      connection.reset();
    }
  };
  start(config);
  ASSERT_TRUE(until([&] { serve(); return gateway->ready(); }));
  const auto stream = [&](const std::string& what) {
    text = what;
    auto seen = send("POST", "/v1/chat/completions", kStreamed);
    EXPECT_TRUE(until([&] { serve(); return seen->over(); }));
    return seen;
  };
  const auto whole = stream("data: 1\n\ndata: [DONE]\n\n");
  EXPECT_TRUE(whole->ended);
  const auto broken = stream("data: 1\n\ndata: 2\n\n");
  EXPECT_TRUE(broken->failed);
  EXPECT_NE(broken->body.find("data: {\"error\":"), std::string::npos) << broken->body;
  // One with a length: what the gateway says of the break must not fill it up.
  length = "Content-Length: 42\r\n";
  const auto cut = stream("data: 1\n\ndata: 2\n\n");
  EXPECT_TRUE(cut->failed) << cut->body;
  EXPECT_TRUE(cut->body.ends_with("\n\n")) << cut->body;
  EXPECT_NE(cut->body.find("stream_broken"), std::string::npos) << cut->body;
}

}  // namespace
}  // namespace flexpert::gateway
