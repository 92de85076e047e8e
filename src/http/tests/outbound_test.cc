#include "http/outbound.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <functional>
#include <vector>

#include "http/tests/test_support.h"
#include "net/socket.h"

namespace flexpert::http {
namespace {

/// A server whose connections do what the test says with the bytes that have come so far.
class Upstream final : private net::FdHandler {
 public:
  struct Peer final : net::StreamHandler {
    explicit Peer(Upstream& server) : upstream(server) {}
    void on_bytes(std::string_view bytes) override {
      seen += bytes;
      upstream.on_bytes(*this);
    }
    void on_closed(const Error*) override { closed = true; }
    /// Takes a whole request without a body away; false if there is none.
    bool take_request() {
      const std::size_t end = seen.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      seen.erase(0, end + 4);
      return true;
    }
    Upstream& upstream;
    std::unique_ptr<net::Stream> stream;
    std::string seen;
    bool closed = false;
  };

  explicit Upstream(net::EventLoop& loop) : loop_(loop) {
    fd_ = *net::listen_on(address_of("127.0.0.1:0"));
    at = *net::bound_address(fd_.get(), address_of("127.0.0.1:0"));
    loop_.watch(fd_.get(), EPOLLIN, this);
  }
  ~Upstream() override { loop_.unwatch(fd_.get()); }

  net::Address at;
  std::function<void(Peer&)> on_bytes = [](Peer& peer) {
    while (peer.take_request()) peer.stream->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  };
  std::vector<std::unique_ptr<Peer>> peers;

 private:
  void on_events(std::uint32_t) override {
    auto connection = net::accept_one(fd_.get());
    if (!connection) return;
    peers.push_back(std::make_unique<Peer>(*this));
    peers.back()->stream = std::make_unique<net::Stream>(loop_, std::move(*connection), peers.back().get());
  }
  net::EventLoop& loop_;
  net::UniqueFd fd_;
};

struct Heard final : OutboundListener {
  void on_head(const codec::Http1ResponseView& head) override {
    status = head.status;
    type = head.find(codec::Http1KnownField::kContentType);
    if (at_head) at_head();
  }
  void on_body(std::string_view piece) override {
    body += piece;
    if (at_body) at_body();
  }
  void on_end() override {
    ++ends;
    if (at_end) at_end();
  }
  void on_error(OutboundFailure reason, const Error& why) override {
    ++errors;
    failure = reason;
    error = why;
  }
  [[nodiscard]] bool over() const { return ends + errors > 0; }

  int status = 0;
  std::string type;
  std::string body;
  int ends = 0;
  int errors = 0;
  OutboundFailure failure{};
  Error error;
  std::function<void()> at_head, at_body, at_end;
};

class OutboundTest : public testing::Test {
 protected:
  OutboundRequest* send(Heard& heard) { return upstream->send(kGet, {}, false, heard); }
  Heard ask() {
    Heard heard;
    send(heard);
    EXPECT_TRUE(run_until(loop, [&] { return heard.over(); }));
    return heard;
  }
  /// Answers every request with `text`.
  void answer_with(std::string text) {
    server.on_bytes = [text = std::move(text)](Upstream::Peer& peer) {
      while (peer.take_request()) peer.stream->write(text);
    };
  }
  static constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  net::EventLoop loop;
  Upstream server{loop};
  Outbound outbound{loop, {}};
  std::unique_ptr<OutboundUpstream> upstream = outbound.connect(server.at);
};

TEST_F(OutboundTest, SendsHeadAndPartsAndReusesTheLastConnection) {
  std::string seen;
  server.on_bytes = [&](Upstream::Peer& peer) {
    if (!peer.seen.ends_with("end")) return;
    seen = std::exchange(peer.seen, {});
    peer.stream->write("HTTP/1.1 200 OK\r\nContent-Type: t\r\nContent-Length: 2\r\n\r\nok");
  };
  const std::string big(3'000'000, 'b');
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000008\r\n\r\n";
  const std::array<std::string_view, 3> parts = {"begin", big, "end"};
  for (int i = 0; i < 3; ++i) {
    Heard heard;
    upstream->send(head, parts, false, heard);
    EXPECT_FALSE(heard.over());
    ASSERT_TRUE(run_until(loop, [&] { return heard.over(); }));
    EXPECT_EQ(heard.body, "ok");
    EXPECT_EQ(heard.type, "t");
    EXPECT_EQ(seen, head + "begin" + big + "end");
  }
  EXPECT_EQ(server.peers.size(), 1U);
  EXPECT_EQ(upstream->idle_connections(), 1U);
}

TEST_F(OutboundTest, KeptConnectionsAreUsedLastInFirstOut) {
  server.on_bytes = [](Upstream::Peer&) {};
  Heard first;
  Heard second;
  send(first);
  send(second);
  ASSERT_TRUE(run_until(loop, [&] { return server.peers.size() == 2 && !server.peers[0]->seen.empty() && !server.peers[1]->seen.empty(); }));
  for (const std::size_t i : {0, 1}) {
    server.peers[i]->take_request();
    server.peers[i]->stream->write("HTTP/1.1 204 No Content\r\n\r\n");
    ASSERT_TRUE(run_until(loop, [&] { return upstream->idle_connections() == i + 1; }));
  }
  Heard third;
  send(third);
  ASSERT_TRUE(run_until(loop, [&] { return !server.peers[1]->seen.empty(); }));
  EXPECT_TRUE(server.peers[0]->seen.empty());
}

TEST_F(OutboundTest, BytesBehindAnAnswerPoisonTheConnection) {
  answer_with("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  EXPECT_EQ(ask().body, "ok");
  EXPECT_EQ(upstream->open_connections(), 0U);
  EXPECT_EQ(ask().body, "ok");
  EXPECT_EQ(server.peers.size(), 2U);
}

TEST_F(OutboundTest, BytesOnAKeptConnectionCloseIt) {
  EXPECT_EQ(ask().body, "ok");
  server.peers[0]->stream->write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  ASSERT_TRUE(run_until(loop, [&] { return upstream->open_connections() == 0; }));
  EXPECT_EQ(ask().body, "ok");
}

TEST_F(OutboundTest, BytesThatComeJustAsAKeptConnectionIsTakenAreNoAnswer) {
  EXPECT_EQ(ask().body, "ok");
  struct Doorbell final : net::FdHandler {
    void on_events(std::uint32_t) override {
      loop->unwatch(fd.get());
      ring();
    }
    net::EventLoop* loop = nullptr;
    net::UniqueFd fd{::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)};
    std::function<void()> ring;
  } doorbell;
  Heard heard;
  doorbell.loop = &loop;
  doorbell.ring = [&] { send(heard); };
  loop.watch(doorbell.fd.get(), EPOLLIN, &doorbell);
  server.peers[0]->stream->write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  ASSERT_TRUE(run_until(loop, [&] { return heard.over(); }));
  EXPECT_EQ(heard.body, "ok");
  EXPECT_EQ(server.peers.size(), 2U);
}

TEST_F(OutboundTest, ARequestThatMeetsAClosedConnectionIsSentOnceMore) {
  EXPECT_EQ(ask().body, "ok");
  Heard heard;
  server.peers[0]->stream->close();  // our end does not know yet
  send(heard);
  ASSERT_TRUE(run_until(loop, [&] { return heard.over(); }));
  EXPECT_EQ(heard.body, "ok");
  EXPECT_EQ(server.peers.size(), 2U);
}

TEST_F(OutboundTest, TellsHowFarAFailedRequestHadCome) {
  struct Case {
    const char* script;
    OutboundFailure failure;
  };
  for (const auto& [script, failure] : {Case{"", OutboundFailure::kNoAnswer}, {"HTTP/1.1 200 OK\r\nContent-Le", OutboundFailure::kNoAnswer},
                                        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", OutboundFailure::kBroken},
                                        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", OutboundFailure::kBroken},
                                        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", OutboundFailure::kMalformed},
                                        {"nonsense\r\n\r\n", OutboundFailure::kMalformed}}) {
    server.on_bytes = [text = std::string(script)](Upstream::Peer& peer) {
      if (!text.empty()) peer.stream->write(text);
      peer.stream->shutdown_when_drained();
    };
    const Heard heard = ask();
    EXPECT_EQ(heard.errors, 1) << script;
    EXPECT_EQ(heard.failure, failure) << script << ": " << heard.error.message;
    EXPECT_EQ(upstream->open_connections(), 0U);
  }
  const auto nobody = outbound.connect(address_of("unix:/nowhere/at/all"));
  Heard heard;
  nobody->send(kGet, {}, false, heard);
  EXPECT_FALSE(heard.over()) << "never from inside send()";
  ASSERT_TRUE(run_until(loop, [&] { return heard.over(); }));
  EXPECT_EQ(heard.failure, OutboundFailure::kConnect);
}

TEST_F(OutboundTest, AnAnswerUntilTheCloseEndsWithAnOrderlyOneOnly) {
  for (const bool orderly : {true, false}) {
    server.on_bytes = [&](Upstream::Peer& peer) {
      peer.stream->write("HTTP/1.1 200 OK\r\n\r\nall of it");
      if (orderly) peer.stream->shutdown_when_drained();
    };
    Heard heard;
    send(heard);
    ASSERT_TRUE(run_until(loop, [&] { return heard.body == "all of it"; }));
    if (!orderly) server.peers.back()->stream->reset();
    ASSERT_TRUE(run_until(loop, [&] { return heard.over(); }));
    EXPECT_EQ(heard.ends, orderly ? 1 : 0);
    EXPECT_EQ(upstream->open_connections(), 0U);
  }
}

TEST_F(OutboundTest, HeadsInPiecesAndInformationalOnesAreRead) {
  const std::string answer = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 201 Created\r\nContent-Type: c\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
  Heard heard;
  server.on_bytes = [](Upstream::Peer&) {};
  send(heard);
  ASSERT_TRUE(run_until(loop, [&] { return !server.peers.empty() && !server.peers[0]->seen.empty(); }));
  for (const char byte : answer) {
    server.peers[0]->stream->write({&byte, 1});
    loop.run_once(Milliseconds(1));
  }
  ASSERT_TRUE(run_until(loop, [&] { return heard.over(); }));
  EXPECT_EQ(heard.status, 201);
  EXPECT_EQ(heard.type, "c");
  EXPECT_EQ(heard.body, "x");
  EXPECT_EQ(upstream->idle_connections(), 1U);
}

TEST_F(OutboundTest, AFloodOfInformationalHeadsEndsTheRequest) {
  std::string flood;
  for (int i = 0; i < 65; ++i) flood += "HTTP/1.1 102 Processing\r\n\r\n";
  answer_with(flood);
  const Heard heard = ask();
  EXPECT_EQ(heard.errors, 1);
  EXPECT_EQ(heard.failure, OutboundFailure::kMalformed);
  EXPECT_NE(heard.error.message.find("too many interim answers"), std::string::npos);
}

TEST_F(OutboundTest, CancelClosesAtOnceAndTellsNothing) {
  server.on_bytes = [](Upstream::Peer&) {};
  Heard heard;
  OutboundRequest* const request = send(heard);
  ASSERT_TRUE(run_until(loop, [&] { return !server.peers.empty() && !server.peers[0]->seen.empty(); }));
  const auto began = std::chrono::steady_clock::now();
  request->cancel();
  EXPECT_EQ(upstream->open_connections(), 0U);
  ASSERT_TRUE(run_until(loop, [&] { return server.peers[0]->closed; }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, Seconds(1));
  EXPECT_FALSE(heard.over());
}

TEST_F(OutboundTest, ReadingPausesAndGoesOn) {
  const std::string big(2'000'000, 'x');
  answer_with("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + big);
  Heard heard;
  OutboundRequest* request = nullptr;
  heard.at_body = [&] { request->set_reading(false); };
  request = send(heard);
  ASSERT_TRUE(run_until(loop, [&] { return !heard.body.empty(); }));
  for (int i = 0; i < 20; ++i) loop.run_once(Milliseconds(1));
  EXPECT_LE(heard.body.size(), 64U * 1024);
  heard.at_body = nullptr;
  request->set_reading(true);
  ASSERT_TRUE(run_until(loop, [&] { return heard.over(); }));
  EXPECT_EQ(heard.body, big);
}

TEST_F(OutboundTest, TimesOut) {
  Outbound impatient(loop, {.head_timeout = Milliseconds(20), .idle_timeout = Milliseconds(20), .keep_idle = Milliseconds(20)});
  upstream = impatient.connect(server.at);
  EXPECT_EQ(ask().body, "ok");
  EXPECT_TRUE(run_until(loop, [&] { return upstream->open_connections() == 0; })) << "not kept for long";
  server.on_bytes = [](Upstream::Peer&) {};
  EXPECT_EQ(ask().failure, OutboundFailure::kHeadTimeout);
  answer_with("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(ask().failure, OutboundFailure::kIdleTimeout);
  upstream.reset();
}

TEST_F(OutboundTest, AnyCallMayCancelSendAndDestroy) {
  Heard next;
  Heard heard;
  auto own = std::make_unique<Outbound>(loop, OutboundOptions{});
  upstream = own->connect(server.at);
  heard.at_end = [&] { send(next); };
  next.at_head = [&] {
    upstream.reset();
    own.reset();
  };
  send(heard);
  ASSERT_TRUE(run_until(loop, [&] { return next.status == 200; }));
  for (int i = 0; i < 5; ++i) loop.run_once(Milliseconds(1));
  EXPECT_FALSE(next.over());
}

TEST_F(OutboundTest, ARequestOutlivesItsUpstream) {
  server.on_bytes = [](Upstream::Peer&) {};
  Heard heard;
  send(heard);
  ASSERT_TRUE(run_until(loop, [&] { return !server.peers.empty() && !server.peers[0]->seen.empty(); }));
  upstream.reset();
  server.peers[0]->stream->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_TRUE(run_until(loop, [&] { return heard.over(); }));
  EXPECT_EQ(heard.body, "ok");
  EXPECT_TRUE(run_until(loop, [&] { return server.peers[0]->closed; })) << "and is not kept";
}

}  // namespace
}  // namespace flexpert::http
