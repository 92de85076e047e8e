#include "http/inbound.h"

#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "http/tests/test_support.h"

namespace flexpert::http {
namespace {

/// Takes requests as the test says and notes what it hears.
class Acceptor final : public InboundAcceptor, public InboundListener {
 public:
  void on_head(InboundExchange& exchange) override {
    ++heads;
    EXPECT_TRUE(exchange.body().empty());
    if (at_head) at_head(exchange);
  }
  void on_request(InboundExchange& exchange) override {
    ++requests;
    current = &exchange;
    exchange.set_listener(this);
    if (at_request) at_request(exchange);
  }
  void on_refused(int status, std::string_view, std::string_view) override { refused.push_back(status); }
  void on_client_gone() override {
    ++gone;
    current = nullptr;
  }
  void on_writable() override { ++writable; }

  std::function<void(InboundExchange&)> at_head;
  std::function<void(InboundExchange&)> at_request = [](InboundExchange& exchange) {
    const std::string body(exchange.body());
    exchange.respond(200, "X-A: b\r\n", std::string(exchange.head().method) + " " + std::string(exchange.head().target) + " " + body);
  };
  InboundExchange* current = nullptr;
  int heads = 0;
  int requests = 0;
  int gone = 0;
  int writable = 0;
  std::vector<int> refused;
};

class InboundTest : public testing::Test {
 protected:
  void listen(InboundLimits limits = {}, const std::string& address = "127.0.0.1:0") {
    inbound = std::make_unique<Inbound>(loop, limits, acceptor);
    const auto bound = inbound->listen(address_of(address));
    ASSERT_TRUE(bound) << bound.error().message;
    at = *bound;
  }
  static std::string post(const std::string& body, const std::string& fields = "") {
    return "POST /p HTTP/1.1\r\nHost: x\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  net::EventLoop loop;
  Acceptor acceptor;
  std::unique_ptr<Inbound> inbound;
  net::Address at;
};

TEST_F(InboundTest, AnswersWithDateAndKeepsTheConnection) {
  listen();
  RawClient client(loop, at);
  client.send(post("hello"));
  ASSERT_TRUE(client.wait_for("POST /p hello"));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 13\r\nDate: ")) << client.received;
  EXPECT_NE(client.received.find(" GMT\r\n\r\n"), std::string::npos);
  client.send(post("again"));
  ASSERT_TRUE(client.wait_for("POST /p again"));
  EXPECT_EQ(inbound->open_connections(), 1U);
  EXPECT_EQ(acceptor.heads, 2);
}

TEST_F(InboundTest, ALargeBodyIsContiguousWithPaddingHoweverItIsSent) {
  std::string seen;
  acceptor.at_request = [&](InboundExchange& exchange) {
    seen = exchange.body();
    std::string behind(64, '\0');
    std::memcpy(behind.data(), exchange.body().data() + exchange.body().size(), 64);  // readable: AddressSanitizer looks
    exchange.respond(200, "", "done");
  };
  listen();
  std::string body(300'000, 'b');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
  for (const std::size_t piece : {std::size_t{1'000'000}, std::size_t{7'001}}) {
    RawClient client(loop, at);
    const std::string request = post(body) + post("next");
    for (std::size_t i = 0; i < request.size(); i += piece) {
      client.send(std::string_view(request).substr(i, piece));
      loop.run_once(Duration::zero());
    }
    ASSERT_TRUE(run_until(loop, [&] { return seen == "next"; }));
  }
  EXPECT_EQ(acceptor.requests, 4);
}

TEST_F(InboundTest, AHeadThatComesByTheByteIsReadAsAWhole) {
  acceptor.at_request = [&](InboundExchange& exchange) {
    EXPECT_EQ(exchange.head().find(codec::Http1KnownField::kContentType), "text/plain");
    exchange.respond(200, "", exchange.body());
  };
  listen();
  RawClient client(loop, at);
  for (const char byte : post("slow body", "Content-Type: text/plain\r\n")) {
    client.send({&byte, 1});
    loop.run_once(Duration::zero());
  }
  EXPECT_TRUE(client.wait_for("slow body"));
}

TEST_F(InboundTest, AnAnswerAtTheHeadRefusesABodyThatHasNotCome) {
  acceptor.at_head = [](InboundExchange& exchange) { exchange.respond(401, "", "no"); };
  listen();
  RawClient client(loop, at);
  client.send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(client.wait_closed());
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n")) << client.received;
  EXPECT_EQ(acceptor.requests, 0);
  RawClient whole(loop, at);
  whole.send(post("all here"));
  ASSERT_TRUE(whole.wait_for("no"));
  EXPECT_EQ(whole.received.find("Connection: close"), std::string::npos) << "nothing is left to come: the connection goes on";
  EXPECT_EQ(inbound->active_exchanges(), 0U);
}

TEST_F(InboundTest, TheRefusalOfAHeadRequestHasNoBody) {
  listen();
  RawClient client(loop, at);
  client.send("HEAD /p HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n");
  ASSERT_TRUE(client.wait_closed());
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 400 Bad Request\r\n")) << client.received;
  EXPECT_TRUE(client.received.ends_with("\r\n\r\n")) << client.received;
}

TEST_F(InboundTest, WhatIsWrittenTogetherGoesOutTogether) {
  acceptor.at_request = [](InboundExchange& exchange) {
    exchange.start(200, "", std::nullopt);
    EXPECT_TRUE(exchange.write("one"));
    EXPECT_GT(exchange.buffered_bytes(), 0U);
    EXPECT_TRUE(exchange.write("two"));
    exchange.finish();
  };
  InboundLimits limits;
  limits.send_date = false;
  listen(limits);
  RawClient client(loop, at);
  client.send(post(""));
  ASSERT_TRUE(client.wait_for("0\r\n\r\n"));
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
}

TEST_F(InboundTest, AContentLengthIsNeitherExceededNorFallenShortOfUnnoticed) {
  acceptor.at_request = [](InboundExchange& exchange) {
    const bool enough = exchange.head().target == "/enough";
    exchange.start(200, "", 5);
    exchange.write(enough ? "abcdefgh" : "abc");
    exchange.finish();
  };
  listen();
  RawClient enough(loop, at);
  enough.send("GET /enough HTTP/1.1\r\nHost: x\r\n\r\nGET /short HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(enough.wait_closed());
  EXPECT_NE(enough.received.find("\r\n\r\nabcdeHTTP/1.1 200"), std::string::npos);
  EXPECT_TRUE(enough.received.ends_with("\r\n\r\nabc"));
}

TEST_F(InboundTest, AbortIsNeverAnOrderlyEnd) {
  acceptor.at_request = [](InboundExchange& exchange) {
    exchange.start(200, "", std::nullopt);
    exchange.write("part");
    exchange.abort();
  };
  listen();
  RawClient chunked(loop, at);
  chunked.send(post(""));
  ASSERT_TRUE(chunked.wait_closed());
  EXPECT_TRUE(chunked.received.ends_with("4\r\npart\r\n")) << "what was written has gone out";
  for (int i = 0; i < 3; ++i) {
    RawClient until_close(loop, at);
    until_close.send("GET / HTTP/1.0\r\n\r\n");
    ASSERT_TRUE(until_close.wait_closed());
    EXPECT_TRUE(until_close.failed) << "a reset";
  }
}

TEST_F(InboundTest, AClientThatGoesIsToldAtOnce) {
  acceptor.at_request = [](InboundExchange& exchange) { exchange.start(200, "", std::nullopt); };
  listen();
  for (const bool half : {false, true}) {
    auto client = std::make_unique<RawClient>(loop, at);
    client->send(post("x"));
    ASSERT_TRUE(run_until(loop, [&] { return acceptor.current != nullptr; }));
    const int before = acceptor.gone;
    if (half) client->stream->shutdown_when_drained();
    else client.reset();
    const auto began = std::chrono::steady_clock::now();
    ASSERT_TRUE(run_until(loop, [&] { return acceptor.gone == before + 1; }));
    EXPECT_LT(std::chrono::steady_clock::now() - began, Seconds(1));
    EXPECT_EQ(inbound->active_exchanges(), 0U);
    EXPECT_EQ(inbound->open_connections(), 0U);
  }
}

TEST_F(InboundTest, WatermarksPauseAndResumeTheWriter) {
  acceptor.at_request = [](InboundExchange& exchange) { exchange.start(200, "", std::nullopt); };
  InboundLimits limits;
  limits.high_watermark_bytes = 64 * 1024;
  listen(limits);
  RawClient client(loop, at);
  client.send(post(""));
  ASSERT_TRUE(run_until(loop, [&] { return acceptor.current != nullptr; }));
  client.stream->set_reading(false);
  const std::string piece(32 * 1024, 'p');
  int pieces = 0;
  while (acceptor.current->write(piece)) ASSERT_LT(++pieces, 2000);
  EXPECT_EQ(acceptor.writable, 0);
  client.stream->set_reading(true);
  ASSERT_TRUE(run_until(loop, [&] { return acceptor.writable == 1; }));
  EXPECT_EQ(acceptor.current->buffered_bytes(), 0U);
  acceptor.current->finish();
  ASSERT_TRUE(client.wait_for("0\r\n\r\n"));
  EXPECT_GT(client.received.size(), static_cast<std::size_t>(pieces) * piece.size());
}

TEST_F(InboundTest, AClientThatTakesNothingIsCutOff) {
  acceptor.at_request = [](InboundExchange& exchange) {
    exchange.start(200, "", std::nullopt);
    for (int i = 0; i < 100; ++i) exchange.write(std::string(100'000, 'x'));
  };
  InboundLimits limits;
  limits.write_timeout = Milliseconds(40);
  limits.max_buffered_bytes = 100'000'000;
  listen(limits);
  RawClient client(loop, at);
  client.send(post(""));
  client.stream->set_reading(false);
  EXPECT_TRUE(run_until(loop, [&] { return acceptor.gone == 1; }));
  EXPECT_EQ(inbound->open_connections(), 0U);
  acceptor.at_request = [](InboundExchange& exchange) { exchange.respond(200, "", "next"); };
  RawClient next(loop, at);  // the kernel gives out the same descriptor again
  next.send(post(""));
  EXPECT_TRUE(next.wait_for("next"));
}

TEST_F(InboundTest, ATricklingBodyIsRefused) {
  InboundLimits limits;
  limits.body_grace = Milliseconds(60);
  limits.min_body_bytes_per_s = 1'000'000;
  listen(limits);
  RawClient client(loop, at);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc");
  const auto began = std::chrono::steady_clock::now();
  while (!client.closed && std::chrono::steady_clock::now() - began < Seconds(20)) {
    if (!client.received.empty()) client.wait_closed();
    else client.send("x");
    loop.run_once(Milliseconds(5));
  }
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 408 ")) << client.received;
  EXPECT_EQ(acceptor.refused, std::vector<int>{408});
  EXPECT_EQ(acceptor.requests, 0);
}

TEST_F(InboundTest, APeerHasOnlySoManyConnections) {
  InboundLimits limits;
  limits.max_connections_per_peer = 2;
  listen(limits);
  auto first = std::make_unique<RawClient>(loop, at);
  RawClient second(loop, at);
  RawClient third(loop, at);
  EXPECT_TRUE(third.wait_closed());
  EXPECT_EQ(acceptor.refused, std::vector<int>{503});
  first.reset();
  ASSERT_TRUE(run_until(loop, [&] { return inbound->open_connections() == 1; }));
  RawClient fourth(loop, at);
  fourth.send(post("4"));
  EXPECT_TRUE(fourth.wait_for("POST /p 4"));
}

TEST_F(InboundTest, AConnectionHasOnlySoManyRequests) {
  InboundLimits limits;
  limits.max_requests_per_connection = 2;
  listen(limits);
  RawClient client(loop, at);
  client.send(post("1") + post("2") + post("3"));
  ASSERT_TRUE(client.wait_closed());
  EXPECT_NE(client.received.find("Connection: close"), std::string::npos);
  EXPECT_EQ(acceptor.requests, 2);
}

TEST_F(InboundTest, AReleasedRequestCanStillBeAnswered) {
  acceptor.at_request = [](InboundExchange& exchange) {
    exchange.start(200, "", std::nullopt);
    exchange.release_request();
    exchange.write("event");
  };
  listen();
  RawClient client(loop, at);
  client.send(post("prompt"));
  ASSERT_TRUE(client.wait_for("event"));
  acceptor.current->finish();
  ASSERT_TRUE(client.wait_for("0\r\n\r\n"));
  acceptor.at_request = [](InboundExchange& exchange) { exchange.respond(200, "", exchange.body()); };
  client.send(post("second"));
  EXPECT_TRUE(client.wait_for("second"));
}

TEST_F(InboundTest, MayBeDestroyedFromAnyCall) {
  for (const int when : {0, 1, 2}) {
    acceptor.at_head = [&](InboundExchange&) {
      if (when == 0) inbound.reset();
    };
    acceptor.at_request = [&](InboundExchange& exchange) {
      if (when == 1) return inbound.reset();
      exchange.respond(200, "", "x");
      inbound.reset();
    };
    listen();
    RawClient client(loop, at);
    client.send(post("x") + post("y"));
    EXPECT_TRUE(client.wait_closed());
  }
}

TEST_F(InboundTest, ClosingAfterAnAnswerIsTheAcceptorsChoice) {
  acceptor.at_request = [](InboundExchange& exchange) {
    exchange.close_after_answer();
    exchange.respond(200, "", "bye");
  };
  listen();
  RawClient client(loop, at);
  client.send(post("x"));
  ASSERT_TRUE(client.wait_closed());
  EXPECT_NE(client.received.find("Connection: close\r\n"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::http
