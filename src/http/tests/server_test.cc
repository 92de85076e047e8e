#include "http/server.h"

#include <optional>
#include <vector>

#include "http/tests/test_support.h"

namespace flexpert::http {
namespace {

using ServerTest = ServerFixture;
constexpr const char* kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(ServerTest, AnswersWithLengthAndKeepsTheConnection) {
  start_server();
  RawClient client(loop, at);
  client.send(kGet);
  ASSERT_TRUE(client.wait_for("GET /a "));
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nGET /a ");
  client.send("POST /b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_TRUE(client.wait_for("POST /b?c=d body"));
  EXPECT_EQ(server->open_connections(), 1U);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrderOneAtATime) {
  std::vector<Responder> waiting;
  handler = [&](Request, Responder responder) { waiting.push_back(responder); };
  start_server();
  RawClient client(loop, at);
  client.send(std::string(kGet) + kGet + kGet);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(run_until(loop, [&] { return waiting.size() == 1; }));
    EXPECT_EQ(requests, i + 1);
    EXPECT_EQ(server->active_exchanges(), 1U);
    Responder responder = std::move(waiting.front());
    waiting.clear();
    responder.respond(Response{.body = "answer" + std::to_string(i)});
    ASSERT_TRUE(client.wait_for("answer" + std::to_string(i)));
  }
  EXPECT_EQ(server->active_exchanges(), 0U);
}

TEST_F(ServerTest, ManyPipelinedRequestsThatAreAnsweredAtOnceDoNotNest) {
  start_server();
  RawClient client(loop, at);
  std::string many;
  for (int i = 0; i < 5000; ++i) many += kGet;
  client.send(many + "GET /last HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.wait_for("GET /last"));
  EXPECT_EQ(requests, 5001);
}

TEST_F(ServerTest, ReadsAChunkedBodyHoweverItIsCut) {
  start_server();
  RawClient client(loop, at);
  const std::string request = "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n";
  for (const char byte : request) {
    client.send({&byte, 1});
    loop.run_once(Duration::zero());
  }
  EXPECT_TRUE(client.wait_for("POST /c abcde"));
}

TEST_F(ServerTest, StreamsChunks) {
  std::optional<Responder> open;
  handler = [&](Request, Responder responder) { open = responder; };
  start_server();
  RawClient client(loop, at);
  client.send(kGet);
  ASSERT_TRUE(run_until(loop, [&] { return open.has_value(); }));
  Headers headers;
  headers.add("Content-Type", "text/event-stream");
  open->start(200, headers);
  ASSERT_TRUE(client.wait_for("\r\n\r\n"));
  open->write("one");
  ASSERT_TRUE(client.wait_for("3\r\none\r\n"));
  open->write("");
  open->finish();
  ASSERT_TRUE(client.wait_for("0\r\n\r\n"));
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n");
  open->write("ignored");
  client.send(kGet);
  ASSERT_TRUE(run_until(loop, [&] { return requests == 2; }));
}

TEST_F(ServerTest, HeadHasTheHeadersAndNoBody) {
  start_server();
  RawClient client(loop, at);
  client.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(client.wait_for("GET /next "));
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nHTTP/1.1 200 OK")) << client.received;
}

TEST_F(ServerTest, SendsContinueOnlyWhenTheBodyIsWaitedFor) {
  start_server();
  RawClient client(loop, at);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(client.wait_for("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("ok");
  ASSERT_TRUE(client.wait_for("POST / ok"));
  client.received.clear();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nno");
  ASSERT_TRUE(client.wait_for("POST / no"));
  EXPECT_EQ(client.received.find("100 Continue"), std::string::npos);
}

TEST_F(ServerTest, CannotBeMadeToEmitAHeaderLineByAValue) {
  handler = [](Request, Responder responder) {
    Response response;
    response.headers.add("X-Echo", "a\r\nSet-Cookie: b");
    response.headers.add("Bad Name", "v");
    response.headers.add("Content-Length", "999");
    responder.respond(std::move(response));
  };
  start_server();
  RawClient client(loop, at);
  client.send(kGet);
  ASSERT_TRUE(client.wait_for("\r\n\r\n"));
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nX-Echo: a  Set-Cookie: b\r\nContent-Length: 0\r\n\r\n");
}

struct Refusal {
  const char* name;
  std::string request;
  int status;
};

class ServerRefusal : public ServerFixture, public testing::WithParamInterface<Refusal> {};

TEST_P(ServerRefusal, IsAnsweredAndEndsTheConnection) {
  ServerLimits limits;
  limits.max_head_bytes = 512;
  limits.max_body_bytes = 100;
  limits.head_timeout = Milliseconds(50);
  limits.body_timeout = Milliseconds(50);
  start_server(limits);
  RawClient client(loop, at);
  client.send(GetParam().request);
  ASSERT_TRUE(client.wait_closed());
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 " + std::to_string(GetParam().status) + " ")) << client.received;
  EXPECT_NE(client.received.find("Connection: close\r\n"), std::string::npos);
  EXPECT_NE(client.received.find(R"({"error":{"message":)"), std::string::npos);
  EXPECT_EQ(requests, 0);
  client.stream->close();
  EXPECT_TRUE(run_until(loop, [&] { return server->open_connections() == 0; }));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, ServerRefusal,
    testing::Values(Refusal{"Garbage", "\x16\x03\x01\x02\n\n", 400}, Refusal{"NoHost", "GET / HTTP/1.1\r\n\r\n", 400},
                    Refusal{"Version", "GET / HTTP/2.0\r\n\r\n", 505}, Refusal{"Method", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
                    Refusal{"LongHead", "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(600, 'a') + "\r\n\r\n", 431},
                    Refusal{"LongBody", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", 413},
                    Refusal{"LongChunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n" + std::string(128, 'a') + "\r\n", 413},
                    Refusal{"LongBodyExpected", "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n", 413},
                    Refusal{"Smuggling", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
                    Refusal{"SlowHead", "GET / HTTP/1.1\r\nHost", 408},
                    Refusal{"SlowBody", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", 408}),
    [](const auto& refusal) { return refusal.param.name; });

TEST_F(ServerTest, ClosesIdleConnections) {
  ServerLimits limits;
  limits.idle_timeout = Milliseconds(30);
  start_server(limits);
  RawClient client(loop, at);
  client.send(kGet);
  ASSERT_TRUE(client.wait_for("GET /a"));
  EXPECT_TRUE(client.wait_closed());
  EXPECT_EQ(server->open_connections(), 0U);
}

TEST_F(ServerTest, ConnectionCloseIsHonouredAndWhatFollowsIsNotARequest) {
  start_server();
  RawClient client(loop, at);
  client.send("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(client.wait_closed());
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\nGET /a ");
  EXPECT_EQ(requests, 1);
}

TEST_F(ServerTest, Http10GetsALengthOrAnAnswerThatEndsWithTheConnection) {
  bool stream = false;
  handler = [&](Request, Responder responder) {
    if (!stream) return responder.respond(Response{.body = "whole"});
    responder.start(200, {});
    responder.write("part");
    responder.finish();
  };
  start_server();
  RawClient kept(loop, at);
  kept.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(kept.wait_for("whole"));
  EXPECT_NE(kept.received.find("Connection: keep-alive\r\n"), std::string::npos);
  stream = true;
  RawClient client(loop, at);
  client.send("GET / HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(client.wait_closed());
  EXPECT_EQ(client.received, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart");
}

TEST_F(ServerTest, ADroppedResponderAnswers500) {
  handler = [](Request, const Responder&) {};
  start_server();
  RawClient client(loop, at);
  client.send(kGet);
  EXPECT_TRUE(client.wait_for("HTTP/1.1 500 Internal Server Error"));
}

TEST_F(ServerTest, ADroppedOrAbortedStreamIsCutShort) {
  for (const bool drop : {true, false}) {
    std::optional<Responder> open;
    handler = [&](Request, Responder responder) {
      open = responder;
      responder.start(200, {});
      responder.write("half");
    };
    start_server();
    RawClient client(loop, at);
    client.send(kGet);
    ASSERT_TRUE(client.wait_for("half"));
    if (!drop) open->abort();
    open.reset();
    ASSERT_TRUE(client.wait_closed());
    EXPECT_EQ(client.received.find("0\r\n\r\n"), std::string::npos);
    EXPECT_EQ(server->active_exchanges(), 0U);
  }
}

TEST_F(ServerTest, TellsOfAClientThatGoesWhileItsAnswerIsPendingOrStreamed) {
  for (const bool started : {false, true}) {
    std::optional<Responder> open;
    int told = 0;
    handler = [&](Request, Responder responder) {
      open = responder;
      if (started) responder.start(200, {});
      responder.on_disconnect([&] { ++told; });
    };
    start_server();
    auto client = std::make_unique<RawClient>(loop, at);
    client->send(kGet);
    ASSERT_TRUE(run_until(loop, [&] { return open.has_value(); }));
    const auto began = std::chrono::steady_clock::now();
    client.reset();
    ASSERT_TRUE(run_until(loop, [&] { return told == 1; }));
    EXPECT_LT(std::chrono::steady_clock::now() - began, Seconds(1));
    EXPECT_TRUE(open->gone());
    open->write("ignored");
    open->respond(Response{});
    open->finish();
    EXPECT_EQ(server->active_exchanges(), 0U);
    EXPECT_EQ(server->open_connections(), 0U);
    bool late = false;
    open->on_disconnect([&] { late = true; });
    EXPECT_TRUE(late);
  }
}

TEST_F(ServerTest, TellsOfAClientThatGoesWithRequestsStillUnread) {
  std::optional<Responder> open;
  int told = 0;
  handler = [&](Request, Responder responder) {
    open = responder;
    responder.on_disconnect([&] { ++told; });
  };
  ServerLimits limits;
  limits.max_head_bytes = 1024;
  start_server(limits);
  auto client = std::make_unique<RawClient>(loop, at);
  client->send(kGet + std::string(20000, 'x'));
  ASSERT_TRUE(run_until(loop, [&] { return open.has_value(); }));
  for (int i = 0; i < 20; ++i) loop.run_once(Milliseconds(1));
  client.reset();
  EXPECT_TRUE(run_until(loop, [&] { return told == 1; }));
}

TEST_F(ServerTest, CutsOffAStreamingClientThatLagsTooFarBehind) {
  ServerLimits limits;
  limits.max_buffered_response_bytes = 64 * 1024;
  std::optional<Responder> open;
  int told = 0;
  handler = [&](Request, Responder responder) {
    open = responder;
    responder.start(200, {});
    responder.on_disconnect([&] { ++told; });
  };
  start_server(limits);
  RawClient client(loop, at);
  client.send(kGet);
  ASSERT_TRUE(run_until(loop, [&] { return open.has_value(); }));
  client.stream->set_reading(false);
  const std::string chunk(64 * 1024, 'x');
  for (int i = 0; i < 1000 && !open->gone(); ++i) open->write(chunk);
  EXPECT_TRUE(open->gone());
  EXPECT_EQ(told, 0) << "never from inside write()";
  EXPECT_TRUE(run_until(loop, [&] { return told == 1; }));
  EXPECT_EQ(server->open_connections(), 0U);
}

TEST_F(ServerTest, AWholeAnswerMayBeLargerThanTheStreamingBuffer) {
  const std::string big(8 << 20, 'b');
  handler = [&](Request, Responder responder) { responder.respond(Response{.body = big}); };
  start_server();
  RawClient client(loop, at);
  client.send(kGet);
  ASSERT_TRUE(run_until(loop, [&] { return client.received.size() > big.size(); }));
  EXPECT_TRUE(client.received.ends_with(big));
}

TEST_F(ServerTest, DrainWaitsForTheAnswersInProgressAndClosesIdleConnections) {
  std::optional<Responder> open;
  handler = [&](Request, Responder responder) { open = responder; };
  start_server();
  RawClient idle(loop, at);
  RawClient busy(loop, at);
  busy.send(kGet);
  ASSERT_TRUE(run_until(loop, [&] { return open.has_value() && server->open_connections() == 2; }));
  bool done = false;
  server->drain(Seconds(20), [&] { done = true; });
  EXPECT_TRUE(idle.wait_closed());
  EXPECT_FALSE(done);
  auto refused = net::Stream::connect(loop, at, Seconds(1), &idle);
  if (refused) {
    idle.closed = false;
    EXPECT_TRUE(idle.wait_closed());
  }
  open->respond(Response{.body = "last"});
  EXPECT_TRUE(run_until(loop, [&] { return done; }));
  EXPECT_TRUE(busy.wait_for("last"));
  EXPECT_NE(busy.received.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(busy.wait_closed());
}

TEST_F(ServerTest, DrainEndsAtItsDeadline) {
  std::optional<Responder> open;
  handler = [&](Request, Responder responder) { open = responder; };
  start_server();
  RawClient busy(loop, at);
  busy.send(kGet);
  ASSERT_TRUE(run_until(loop, [&] { return open.has_value(); }));
  bool done = false;
  server->drain(Milliseconds(20), [&] { done = true; server.reset(); });
  EXPECT_TRUE(run_until(loop, [&] { return done; }));
  EXPECT_TRUE(busy.wait_closed());
  EXPECT_TRUE(open->gone());
}

TEST_F(ServerTest, DrainOfAnIdleServerEndsAtOnce) {
  start_server();
  bool done = false;
  server->drain(Seconds(20), [&] { done = true; });
  EXPECT_TRUE(run_until(loop, [&] { return done; }));
}

TEST_F(ServerTest, MayBeDestroyedByItsOwnHandler) {
  handler = [&](Request, const Responder& responder) {
    server.reset();
    EXPECT_TRUE(responder.gone());
  };
  start_server();
  RawClient client(loop, at);
  client.send(kGet);
  EXPECT_TRUE(client.wait_closed());
}

TEST_F(ServerTest, StopsAcceptingAtItsLimitAndGoesOnWhenAConnectionEnds) {
  ServerLimits limits;
  limits.max_connections = 2;
  start_server(limits);
  auto first = std::make_unique<RawClient>(loop, at);
  RawClient second(loop, at);
  RawClient third(loop, at);
  first->send(kGet);
  second.send(kGet);
  ASSERT_TRUE(first->wait_for("GET /a"));
  ASSERT_TRUE(second.wait_for("GET /a"));
  third.send(kGet);
  for (int i = 0; i < 20; ++i) loop.run_once(Milliseconds(1));
  EXPECT_TRUE(third.received.empty());
  first.reset();
  EXPECT_TRUE(third.wait_for("GET /a"));
}

TEST_F(ServerTest, ListensOnAUnixSocketAndRemovesItsFile) {
  const TempDir dir;
  const std::string path = dir / "http.sock";
  start_server({}, "unix:" + path);
  handler = [](Request request, Responder responder) { responder.respond(Response{.body = "peer " + request.peer}); };
  RawClient client(loop, at);
  client.send(kGet);
  EXPECT_TRUE(client.wait_for("peer unix"));
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace flexpert::http
