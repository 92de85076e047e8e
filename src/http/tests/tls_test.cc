#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include "crypto/tests/test_certificates.h"
#include "http/client.h"
#include "http/inbound.h"
#include "http/outbound.h"
#include "http/tests/test_support.h"
#include "net/channel.h"
#include "net/socket.h"

namespace flexpert::http {
namespace {

/// What became of one request.
struct Got {
  int status = 0;
  std::string body;
  std::optional<Error> error;
  bool ended = false;
  [[nodiscard]] bool over() const { return ended || error; }
};

/// A server over TLS that answers with what it was sent.
class TlsHttp : public ::testing::Test, public InboundAcceptor {
 protected:
  TlsHttp() {
    tls = *crypto::TlsServer::create(files(certificate));
    trust = client_trust(authority);
  }
  crypto::TlsServerOptions files(const crypto::TestCertificate& of) {
    return {.certificate_file = folder.write("c.pem", of.certificate_pem()), .key_file = folder.write("k.pem", of.key_pem())};
  }
  std::shared_ptr<const crypto::TlsContext> client_trust(const crypto::TestCertificate& ca) {
    return *crypto::TlsContext::client({.ca_file = folder.write("ca.pem", ca.certificate_pem())});
  }
  void listen(InboundLimits limits = {}) {
    inbound = std::make_unique<Inbound>(loop, limits, *this);
    const auto bound = inbound->listen(address_of("127.0.0.1:0"), tls);
    ASSERT_TRUE(bound) << bound.error().message;
    address = *bound;
  }
  void on_request(InboundExchange& exchange) override {
    ++requests;
    secure = exchange.secure();
    exchange.respond(200, "", exchange.body());
  }
  std::shared_ptr<Got> send(Client& client, std::string body, const std::string& host, std::shared_ptr<const crypto::TlsContext> context) {
    auto got = std::make_shared<Got>();
    client.send(address, {.method = "POST", .target = "/", .body = std::move(body)},
                {.on_head = [got](int status, const Headers&) { got->status = status; },
                 .on_body = [got](std::string_view piece) { got->body += piece; },
                 .on_end = [got] { got->ended = true; },
                 .on_error = [got](Error error) { got->error = std::move(error); }},
                {.context = std::move(context), .host = host});
    return got;
  }
  Got call(Client& client, std::string body, const std::string& host, std::shared_ptr<const crypto::TlsContext> context) {
    const auto got = send(client, std::move(body), host, std::move(context));
    EXPECT_TRUE(run_until(loop, [&] { return got->over(); }));
    return *got;
  }
  Got call(const std::string& host) {
    Client client(loop, {});
    return call(client, "hello", host, trust);
  }

  net::EventLoop loop;
  crypto::TestFolder folder;
  crypto::TestCertificate authority = crypto::make_certificate("");
  crypto::TestCertificate certificate = crypto::make_certificate("DNS:localhost,IP:127.0.0.1", &authority);
  std::shared_ptr<crypto::TlsServer> tls;
  std::shared_ptr<const crypto::TlsContext> trust;
  std::unique_ptr<Inbound> inbound;
  net::Address address;
  int requests = 0;
  bool secure = false;
};

TEST_F(TlsHttp, CarriesRequestsAndAnswersOfEverySize) {
  listen();
  Client client(loop, {});
  for (const std::size_t size : {0U, 1U, 16'383U, 16'384U, 16'385U, 100'000U, 3'000'000U}) {
    std::string body;
    for (std::size_t i = 0; i < size; ++i) body += static_cast<char>(i * 31 + i / 1000);
    const Got got = call(client, body, "127.0.0.1", trust);
    EXPECT_EQ(got.status, 200) << size;
    EXPECT_TRUE(got.ended && got.body == body) << size << (got.error ? got.error->message : "");
  }
  EXPECT_TRUE(secure);
  EXPECT_EQ(inbound->open_connections(), 1U) << "one connection was kept";
}

TEST_F(TlsHttp, IsSpokenToAServerOfTheRightNameOnly) {
  listen();
  EXPECT_EQ(call("localhost").status, 200);
  EXPECT_EQ(call("127.0.0.1").status, 200);
  for (const char* host : {"other", "127.0.0.2", ""}) {
    const Got got = call(host);
    ASSERT_TRUE(got.error) << host;
    EXPECT_EQ(got.error->code, ErrorCode::kUnavailable);
    EXPECT_NE(got.error->message.find("no TLS connection to 127.0.0.1"), std::string::npos) << got.error->message;
  }
  EXPECT_EQ(requests, 2);
}

TEST_F(TlsHttp, IsSpokenToServersOfTrustedAuthoritiesOnly) {
  listen();
  Client client(loop, {});
  const Got got = call(client, "hello", "localhost", client_trust(crypto::make_certificate("")));
  ASSERT_TRUE(got.error);
  EXPECT_NE(got.error->message.find("certificate was refused"), std::string::npos) << got.error->message;
  EXPECT_EQ(call(client, "hello", "localhost", trust).status, 200) << "another trust, another connection";
  EXPECT_EQ(requests, 1);
}

TEST_F(TlsHttp, RefusesAnExpiredServer) {
  const crypto::TestCertificate old = crypto::make_certificate("DNS:localhost", &authority, -60);
  tls = *crypto::TlsServer::create(files(old));
  listen();
  const Got got = call("localhost");
  ASSERT_TRUE(got.error);
  EXPECT_NE(got.error->message.find("certificate has expired"), std::string::npos) << got.error->message;
}

TEST_F(TlsHttp, ClosesOnPlainHttpWithoutAnAnswer) {
  listen();
  RawClient plain(loop, address);
  plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(plain.wait_closed());
  EXPECT_EQ(plain.received.find("HTTP"), std::string::npos);
  EXPECT_EQ(requests, 0);
  EXPECT_TRUE(run_until(loop, [&] { return inbound->open_connections() == 0; }));
}

TEST_F(TlsHttp, IsNotFoundAtAPlainPort) {
  inbound = std::make_unique<Inbound>(loop, InboundLimits{}, *this);
  address = *inbound->listen(address_of("127.0.0.1:0"));
  const Got got = call("localhost");
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(requests, 0);
}

TEST_F(TlsHttp, GivesAHandshakeTheTimeOfAHead) {
  listen({.head_timeout = Milliseconds(30), .idle_timeout = Seconds(60)});
  RawClient silent(loop, address);
  RawClient slow(loop, address);
  slow.send("\x16\x03\x01");
  EXPECT_TRUE(silent.wait_closed());
  EXPECT_TRUE(slow.wait_closed());
  EXPECT_EQ(call("localhost").status, 200);
}

TEST_F(TlsHttp, LetsAClientRestLongerThanItsHandshakeMayTake) {
  listen({.head_timeout = Milliseconds(200), .idle_timeout = Seconds(60)});
  Client client(loop, {});
  ASSERT_EQ(call(client, "one", "localhost", trust).status, 200);
  bool later = false;
  loop.call_after(Milliseconds(500), [&] { later = true; });
  ASSERT_TRUE(run_until(loop, [&] { return later; }));
  EXPECT_EQ(inbound->open_connections(), 1U);
  EXPECT_EQ(call(client, "two", "localhost", trust).status, 200);
}

TEST_F(TlsHttp, TakesARenewedCertificateForNewConnectionsAndCutsNone) {
  listen();
  const crypto::TestCertificate other_authority = crypto::make_certificate("");
  const auto other_trust = client_trust(other_authority);
  Client old_client(loop, {});
  std::vector<std::shared_ptr<Got>> under_way;
  for (int i = 0; i < 20; ++i) under_way.push_back(send(old_client, std::string(200'000, 'x'), "localhost", trust));
  ASSERT_TRUE(run_until(loop, [&] { return requests >= 5; }));
  (void)files(crypto::make_certificate("DNS:localhost", &other_authority));
  ASSERT_TRUE(*tls->reload_if_changed());
  const auto all_over = [&] { return std::all_of(under_way.begin(), under_way.end(), [](const auto& got) { return got->over(); }); };
  ASSERT_TRUE(run_until(loop, all_over));
  for (const auto& got : under_way) EXPECT_TRUE(got->ended && got->body.size() == 200'000) << (got->error ? got->error->message : "");
  EXPECT_EQ(call(old_client, "kept", "localhost", trust).body, "kept") << "an open connection goes on";
  Client new_client(loop, {});
  EXPECT_EQ(call(new_client, "new", "localhost", other_trust).body, "new");
  EXPECT_TRUE(call("localhost").error) << "a new connection to the old authority";
}

/// Serves one connection by hand.
class HandServer final : public net::FdHandler {
 public:
  HandServer(net::EventLoop& loop, const crypto::TlsContext& tls, std::string answer, bool says_that_it_ends)
      : loop_(loop),
        tls_(tls),
        answer_(std::move(answer)),
        says_(says_that_it_ends),
        listening_(*net::listen_on(address_of("127.0.0.1:0"))) {
    loop_.watch(listening_.get(), EPOLLIN, this);
  }
  ~HandServer() override { loop_.unwatch(channel_.open() ? channel_.fd() : listening_.get()); }
  net::Address address() const { return *net::bound_address(listening_.get(), address_of("127.0.0.1:0")); }

 private:
  void on_events(std::uint32_t) override {
    if (!channel_.open()) {
      auto accepted = net::accept_one(listening_.get());
      if (!accepted) return;
      loop_.unwatch(listening_.get());
      channel_ = net::Channel(std::move(*accepted), tls_);
      return loop_.watch(channel_.fd(), EPOLLIN, this);
    }
    char room[4096];
    if (channel_.read(room, sizeof room).bytes == 0) return;
    channel_.write(answer_.data(), answer_.size());
    if (says_) channel_.shut_down_writing();
    else ::shutdown(channel_.fd(), SHUT_WR);
  }
  net::EventLoop& loop_;
  const crypto::TlsContext& tls_;
  std::string answer_;
  bool says_;
  net::UniqueFd listening_;
  net::Channel channel_;
};

TEST_F(TlsHttp, TakesABodyUntilTheEndForWholeOnlyIfTheServerSaidThatItEnds) {
  for (const bool says : {true, false}) {
    HandServer server(loop, tls->current(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe beginning of", says);
    address = server.address();
    const Got got = call("localhost");
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.body, "the beginning of");
    EXPECT_EQ(got.ended, says);
    if (says) continue;
    ASSERT_TRUE(got.error);
    EXPECT_EQ(got.error->code, ErrorCode::kDataLoss);
    EXPECT_NE(got.error->message.find("without close_notify"), std::string::npos) << got.error->message;
  }
}

TEST_F(TlsHttp, EndsTheWaitForAServerThatNeverShakesHands) {
  const auto listening = net::listen_on(address_of("127.0.0.1:0"));  // its backlog connects, nobody answers
  address = *net::bound_address(listening->get(), address_of("127.0.0.1:0"));
  Client client(loop, {.connect_timeout = Milliseconds(50)});
  const Got got = call(client, "hello", "localhost", trust);
  ASSERT_TRUE(got.error);
  EXPECT_NE(got.error->message.find("did not finish the handshake of TLS in time"), std::string::npos) << got.error->message;
}

}  // namespace
}  // namespace flexpert::http
