#include "http/client.h"

#include <sys/epoll.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "http/tests/test_support.h"
#include "net/socket.h"

namespace flexpert::http {
namespace {

Request get(std::string target) { return {.method = "GET", .target = std::move(target)}; }

class ClientTest : public ServerFixture {
 protected:
  Client client{loop, {}};
};

TEST_F(ClientTest, GetsAnAnswer) {
  start_server();
  Answer answer;
  client.send(at, {.method = "POST", .target = "/p", .body = "hello"}, answer.callbacks());
  EXPECT_FALSE(answer.over());
  ASSERT_TRUE(run_until(loop, [&] { return answer.over(); }));
  EXPECT_TRUE(answer.ended) << answer.error.message;
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "POST /p hello");
}

TEST_F(ClientTest, KeepsTheConnectionForTheNextRequest) {
  start_server();
  for (int i = 0; i < 5; ++i) {
    Answer answer;
    client.send(at, get("/k"), answer.callbacks());
    ASSERT_TRUE(run_until(loop, [&] { return answer.over(); }));
    EXPECT_EQ(answer.body, "GET /k ");
  }
  EXPECT_EQ(server->open_connections(), 1U);
}

TEST_F(ClientTest, MakesHostAndLengthItself) {
  Headers seen;
  handler = [&](Request request, Responder responder) {
    seen = request.headers;
    responder.respond({});
  };
  start_server();
  Request request{.method = "POST", .target = "/"};
  request.headers.add("Host", "evil");
  request.headers.add("Content-Length", "77");
  request.headers.add("Transfer-Encoding", "chunked");
  request.headers.add("X-Mine", "a\r\nX-Injected: b");
  Answer answer;
  client.send(at, std::move(request), answer.callbacks());
  ASSERT_TRUE(run_until(loop, [&] { return answer.over(); }));
  EXPECT_EQ(seen.find("host"), at.to_string());
  EXPECT_EQ(seen.find("content-length"), "0");
  EXPECT_FALSE(seen.find("transfer-encoding"));
  EXPECT_FALSE(seen.find("x-injected"));
}

TEST_F(ClientTest, DeliversAStreamAsItComes) {
  std::optional<Responder> open;
  handler = [&](Request, Responder responder) { open = responder; };
  start_server();
  Answer answer;
  client.send(at, get("/s"), answer.callbacks());
  ASSERT_TRUE(run_until(loop, [&] { return open.has_value(); }));
  open->start(200, {});
  ASSERT_TRUE(run_until(loop, [&] { return answer.status == 200; }));
  open->write("first ");
  ASSERT_TRUE(run_until(loop, [&] { return answer.body == "first "; }));
  EXPECT_FALSE(answer.over());
  open->write("second");
  open->finish();
  ASSERT_TRUE(run_until(loop, [&] { return answer.ended; }));
  EXPECT_EQ(answer.body, "first second");
}

TEST_F(ClientTest, HeadHasNoBodyAndTheConnectionGoesOn) {
  start_server();
  Answer head;
  client.send(at, {.method = "HEAD", .target = "/h"}, head.callbacks());
  ASSERT_TRUE(run_until(loop, [&] { return head.ended; }));
  EXPECT_EQ(head.headers.find("content-length"), "8");
  EXPECT_TRUE(head.body.empty());
  Answer next;
  client.send(at, get("/n"), next.callbacks());
  ASSERT_TRUE(run_until(loop, [&] { return next.ended; }));
  EXPECT_EQ(server->open_connections(), 1U);
}

TEST_F(ClientTest, CancelClosesTheConnectionAndNoCallbackRuns) {
  int told = 0;
  std::optional<Responder> open;
  handler = [&](Request, Responder responder) {
    open = responder;
    responder.on_disconnect([&] { ++told; });
  };
  start_server();
  Answer answer;
  const auto id = client.send(at, get("/c"), answer.callbacks());
  ASSERT_TRUE(run_until(loop, [&] { return open.has_value(); }));
  client.cancel(id);
  client.cancel(id);
  ASSERT_TRUE(run_until(loop, [&] { return told == 1; }));
  EXPECT_FALSE(answer.over());
}

TEST_F(ClientTest, CallbacksMayCancelSendAndDestroy) {
  handler = [](Request, Responder responder) {
    responder.start(200, {});
    responder.write("x");
    responder.finish();
  };
  start_server();
  auto own = std::make_unique<Client>(loop, ClientOptions{});
  int bodies = 0;
  Client::RequestId first = 0;
  first = own->send(at, get("/1"), {.on_head = {}, .on_body = [&](std::string_view) { ++bodies; own->cancel(first); }, .on_end = {}, .on_error = {}});
  ASSERT_TRUE(run_until(loop, [&] { return bodies == 1; }));
  bool again = false;
  own->send(at, get("/2"), {.on_head = {}, .on_body = {}, .on_end = [&] {
    own->send(at, get("/3"), {.on_head = {}, .on_body = [&](std::string_view) { again = true; own.reset(); }, .on_end = {}, .on_error = {}});
  }, .on_error = {}});
  ASSERT_TRUE(run_until(loop, [&] { return again; }));
  EXPECT_EQ(own, nullptr);
}

TEST_F(ClientTest, SaysUnavailableWhenNobodyListens) {
  start_server();
  server.reset();
  Answer answer;
  client.send(at, get("/"), answer.callbacks());
  Answer no_socket;
  client.send(address_of("unix:/nowhere/socket"), get("/"), no_socket.callbacks());
  EXPECT_FALSE(no_socket.over()) << "never from inside send()";
  ASSERT_TRUE(run_until(loop, [&] { return answer.over() && no_socket.over(); }));
  EXPECT_EQ(answer.error.code, ErrorCode::kUnavailable);
  EXPECT_EQ(no_socket.error.code, ErrorCode::kUnavailable);
}

TEST_F(ClientTest, TimesOutWaitingForTheHeadAndForTheBody) {
  std::vector<Responder> open;
  handler = [&](const Request& request, Responder responder) {
    if (request.target == "/body") responder.start(200, {});
    open.push_back(responder);
  };
  start_server();
  Client impatient(loop, {.head_timeout = Milliseconds(30), .idle_timeout = Milliseconds(30)});
  Answer head;
  Answer body;
  impatient.send(at, get("/head"), head.callbacks());
  impatient.send(at, get("/body"), body.callbacks());
  ASSERT_TRUE(run_until(loop, [&] { return head.over() && body.over(); }));
  EXPECT_EQ(head.error.code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(body.error.code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(body.status, 200);
}

TEST_F(ClientTest, ClosesAKeptConnectionAfterAWhile) {
  start_server();
  Client brief(loop, {.keep_idle = Milliseconds(20)});
  Answer answer;
  brief.send(at, get("/"), answer.callbacks());
  ASSERT_TRUE(run_until(loop, [&] { return answer.ended; }));
  EXPECT_EQ(server->open_connections(), 1U);
  EXPECT_TRUE(run_until(loop, [&] { return server->open_connections() == 0; }));
}

TEST_F(ClientTest, WorksOverAUnixSocket) {
  const TempDir dir;
  start_server({}, "unix:" + (dir / "s"));
  Answer answer;
  client.send(at, get("/u"), answer.callbacks());
  ASSERT_TRUE(run_until(loop, [&] { return answer.over(); }));
  EXPECT_EQ(answer.body, "GET /u ");
}

TEST_F(ClientTest, FetchBringsItsOwnLoop) {
  start_server();
  Result<Response> response = fail(ErrorCode::kInternal, "not run");
  std::thread fetcher([&] {
    response = fetch(at, {.method = "POST", .target = "/f", .body = "x"}, Seconds(20));
    loop.stop();
  });
  loop.run();
  fetcher.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "POST /f x");
  server.reset();
  const auto failed = fetch(at, get("/f"), Seconds(20));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("GET /f at 127.0.0.1"), std::string::npos) << failed.error().message;
}

TEST_F(ClientTest, FetchGivesUpAfterItsTimeout) {
  const auto listening = net::listen_on(address_of("127.0.0.1:0"));
  ASSERT_TRUE(listening);
  const auto silent = net::bound_address(listening->get(), address_of("127.0.0.1:0"));
  const auto response = fetch(*silent, get("/"), Milliseconds(40));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kDeadlineExceeded);
}

/// A server that sends scripted bytes: one script per connection, sent when a request's head has come; then it closes.
class ScriptedServer final : private net::FdHandler {
 public:
  ScriptedServer(net::EventLoop& loop, std::vector<std::string> scripts) : loop_(loop), scripts_(std::move(scripts)) {
    fd_ = *net::listen_on(address_of("127.0.0.1:0"));
    at = *net::bound_address(fd_.get(), address_of("127.0.0.1:0"));
    loop_.watch(fd_.get(), EPOLLIN, this);
  }
  ~ScriptedServer() override { loop_.unwatch(fd_.get()); }
  net::Address at;
  std::size_t accepted = 0;

 private:
  struct Peer final : net::StreamHandler {
    std::unique_ptr<net::Stream> stream;
    std::string seen, script;
    void on_bytes(std::string_view bytes) override {
      seen += bytes;
      if (!seen.ends_with("\r\n\r\n")) return;
      const bool keep = script.starts_with("keep:");  // closes only when the second request comes
      if (keep && std::count(seen.begin(), seen.end(), 'G') < 2) return stream->write(std::string_view(script).substr(5));
      if (!keep) stream->write(script);
      stream->shutdown_when_drained();
    }
    void on_closed(const Error*) override {}
  };
  void on_events(std::uint32_t) override {
    auto connection = net::accept_one(fd_.get());
    if (!connection) return;
    auto peer = std::make_unique<Peer>();
    peer->script = scripts_.at(std::min(accepted++, scripts_.size() - 1));
    peer->stream = std::make_unique<net::Stream>(loop_, std::move(*connection), peer.get());
    peers_.push_back(std::move(peer));
  }
  net::EventLoop& loop_;
  std::vector<std::string> scripts_;
  net::UniqueFd fd_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

Answer answer_to(net::EventLoop& loop, Client& client, const net::Address& at) {
  Answer answer;
  const auto id = client.send(at, get("/"), answer.callbacks());
  EXPECT_TRUE(run_until(loop, [&] { return answer.over(); }));
  client.cancel(id);
  return answer;
}

TEST(ClientAgainstOddServers, SendsAgainWhenAKeptConnectionWasClosed) {
  net::EventLoop loop;
  ScriptedServer server(loop, {"keep:HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"});
  Client client(loop, {});
  EXPECT_EQ(answer_to(loop, client, server.at).body, "a");
  EXPECT_EQ(answer_to(loop, client, server.at).body, "b");
  EXPECT_EQ(server.accepted, 2U);
}

TEST(ClientAgainstOddServers, DoesNotSendAgainOnAFreshConnection) {
  net::EventLoop loop;
  ScriptedServer server(loop, {""});
  Client client(loop, {});
  EXPECT_EQ(answer_to(loop, client, server.at).error.code, ErrorCode::kUnavailable);
  EXPECT_EQ(server.accepted, 1U);
}

TEST(ClientAgainstOddServers, SendsAgainOnlyOnce) {
  net::EventLoop loop;
  ScriptedServer server(loop, {"keep:HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", ""});
  Client client(loop, {});
  EXPECT_EQ(answer_to(loop, client, server.at).body, "a");
  EXPECT_EQ(answer_to(loop, client, server.at).error.code, ErrorCode::kUnavailable);
  EXPECT_EQ(server.accepted, 2U);
}

TEST(ClientAgainstOddServers, TellsABrokenAnswerFromAMalformedOne) {
  const std::vector<std::pair<std::string, ErrorCode>> cases = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", ErrorCode::kDataLoss},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", ErrorCode::kDataLoss},
      {"HTTP/1.1 200", ErrorCode::kDataLoss},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrorCode::kInvalidArgument},
      {"nonsense\r\n\r\n", ErrorCode::kInvalidArgument},
      {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", ErrorCode::kInvalidArgument},
  };
  for (const auto& [script, code] : cases) {
    net::EventLoop loop;
    ScriptedServer server(loop, {script});
    Client client(loop, {});
    const Answer answer = answer_to(loop, client, server.at);
    EXPECT_TRUE(answer.failed) << script;
    EXPECT_EQ(answer.error.code, code) << script << ": " << answer.error.message;
  }
}

TEST(ClientAgainstOddServers, SkipsInformationalAnswersAndReadsUntilTheClose) {
  net::EventLoop loop;
  ScriptedServer server(loop, {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end"});
  Client client(loop, {});
  const Answer answer = answer_to(loop, client, server.at);
  EXPECT_TRUE(answer.ended) << answer.error.message;
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "until the end");
}

TEST(ClientAgainstOddServers, RefusesARequestThatCannotBeSent) {
  net::EventLoop loop;
  Client client(loop, {});
  for (const auto& [method, target] : {std::pair{"GET", "no-slash"}, {"GET", "/a b"}, {"GET", "/a\r\nX: y"}, {"G T", "/"}, {"", "/"}}) {
    Answer answer;
    client.send(address_of("127.0.0.1:1"), {.method = method, .target = target}, answer.callbacks());
    ASSERT_TRUE(run_until(loop, [&] { return answer.over(); }));
    EXPECT_EQ(answer.error.code, ErrorCode::kInvalidArgument) << target;
  }
}

}  // namespace
}  // namespace flexpert::http
