#include "web_client/web_client.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "http/server.h"
#include "net/child_process.h"
#include "net/socket.h"

namespace flexpert::web_client {
namespace {

/// One loop with a server of ours and the client under test.
class WebClientWorld : public ::testing::Test {
 protected:
  WebClientWorld() : server(loop, {}, [this](http::Request request, http::Responder responder) { script(std::move(request), std::move(responder)); }) {
    const auto bound = server.listen(*net::Address::parse("127.0.0.1:0"));
    url = bound ? "http://" + bound->to_string() : "";
  }

  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = clock.now() + Seconds(10);
    while (!condition()) {
      if (clock.now() > give_up) return false;
      loop.run_once(Milliseconds(20));
    }
    return true;
  }

  Result<WebAnswer> call(WebRequest request) {
    std::optional<Result<WebAnswer>> got;
    client->send(std::move(request), [&](Result<WebAnswer> answer) { got = std::move(answer); });
    EXPECT_FALSE(got) << "called from inside send()";
    if (!until([&] { return got.has_value(); })) return fail(ErrorCode::kInternal, "no answer");
    return std::move(*got);
  }

  /// An address on which nobody listens.
  static std::string free_address() {
    const net::Address any = *net::Address::parse("127.0.0.1:0");
    const auto listening = net::listen_on(any);
    return listening ? net::bound_address(listening->get(), any)->to_string() : "";
  }

  SystemClock clock;
  net::EventLoop loop;
  std::function<void(http::Request, http::Responder)> script = [](const http::Request&, http::Responder responder) {
    responder.respond(http::json_response(200, "{}"));
  };
  http::Server server;
  std::string url;
  std::unique_ptr<WebClient> client = std::make_unique<WebClient>(loop);
};

TEST_F(WebClientWorld, SendsMethodHeadersAndBodyAndBringsTheAnswer) {
  http::Request seen;
  script = [&](http::Request request, http::Responder responder) {
    seen = std::move(request);
    http::Response response{201, {}, "made"};
    response.headers.set("X-Mark", "  seven ");
    responder.respond(std::move(response));
  };
  const auto answer = call({.method = "PUT", .url = url + "/a?b=c", .headers = {{"X-One", "1"}}, .body = std::string(100'000, 'x')});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, "made");
  EXPECT_NE(std::find(answer->headers.begin(), answer->headers.end(), std::pair<std::string, std::string>("x-mark", "seven")), answer->headers.end());
  EXPECT_EQ(seen.method, "PUT");
  EXPECT_EQ(seen.target, "/a?b=c");
  EXPECT_EQ(seen.headers.find("X-One"), "1");
  EXPECT_EQ(seen.body.size(), 100'000U);
}

TEST_F(WebClientWorld, AnErrorStatusAndARedirectAreAnswers) {
  int status = 503;
  script = [&](const http::Request&, http::Responder responder) {
    http::Response response{status, {}, "no"};
    response.headers.set("Location", url + "/elsewhere");
    responder.respond(std::move(response));
  };
  for (const int expected : {503, 404, 302}) {
    status = expected;
    const auto answer = call({.url = url});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, expected);
  }
}

TEST_F(WebClientWorld, ManyRequestsRunAtOnceAndKeepApart) {
  script = [](const http::Request& request, http::Responder responder) { responder.respond({200, {}, request.target}); };
  std::size_t right = 0;
  for (int i = 0; i < 100; ++i)
    client->send({.url = fmt::format("{}/{}", url, i)},
                 [&right, i](const Result<WebAnswer>& answer) { right += answer && answer->body == fmt::format("/{}", i) ? 1 : 0; });
  EXPECT_TRUE(until([&] { return right == 100; })) << right;
}

TEST_F(WebClientWorld, ASilentServerIsADeadlineExceeded) {
  std::vector<http::Responder> kept;
  script = [&](const http::Request&, http::Responder responder) { kept.push_back(std::move(responder)); };
  const auto answer = call({.url = url, .timeout = Milliseconds(50)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kDeadlineExceeded) << answer.error().message;
}

TEST_F(WebClientWorld, APortWithoutAServerIsUnavailable) {
  const auto answer = call({.url = "http://" + free_address()});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable) << answer.error().message;
}

TEST_F(WebClientWorld, AnAnswerOverTheLimitIsResourceExhausted) {
  script = [](const http::Request&, http::Responder responder) { responder.respond({200, {}, std::string(2000, 'x')}); };
  EXPECT_TRUE(call({.url = url, .max_answer_bytes = 2000}));
  const auto answer = call({.url = url, .max_answer_bytes = 1999});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kResourceExhausted);
}

TEST_F(WebClientWorld, WhatCannotBeSentIsAnInvalidArgument) {
  const WebRequest bad[] = {{.url = "ftp://x/"},   {.url = "prometheus:9090"},
                            {.url = "http://"},    {.method = "GE T", .url = url},
                            {.url = url, .headers = {{"X", "a\r\nB: c"}}}, {.url = url, .headers = {{"X Y", "a"}}}};
  for (const WebRequest& request : bad) {
    const auto answer = call(request);
    ASSERT_FALSE(answer) << request.url;
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument) << answer.error().message;
  }
}

TEST_F(WebClientWorld, TlsToAServerWithoutACertificateFails) {
  const auto answer = call({.url = "https" + url.substr(4), .timeout = Seconds(5)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable) << answer.error().message;
}

TEST_F(WebClientWorld, ACertificateThatNobodyTrustsIsRefused) {
  constexpr const char* kOpenssl = "/usr/bin/openssl";
  if (::access(kOpenssl, X_OK) != 0) GTEST_SKIP() << "no " << kOpenssl << " here";
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("flexpert_web_client_{}", ::getpid());
  std::filesystem::create_directories(folder);
  const std::string key = folder / "key.pem";
  const std::string certificate = folder / "cert.pem";
  bool made = false;
  const auto spawn = [&](std::vector<std::string> argv, std::move_only_function<void(net::ExitStatus)> on_exit) {
    net::ChildProcessOptions options;
    options.argv = std::move(argv);
    options.on_line = [](std::string_view) {};
    return net::ChildProcess::spawn(loop, std::move(options), std::move(on_exit));
  };
  const auto maker = spawn({kOpenssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"},
                           [&](net::ExitStatus) { made = true; });
  ASSERT_TRUE(maker && until([&] { return made; }));
  const std::string address = free_address();
  const auto tls = spawn({kOpenssl, "s_server", "-accept", address, "-cert", certificate, "-key", key, "-www", "-quiet"}, [](net::ExitStatus) {});
  ASSERT_TRUE(tls);
  std::string message;
  // Until it listens the connection is what fails.
  const TimePoint give_up = clock.now() + Seconds(10);
  while (message.find("certificate") == std::string::npos && clock.now() < give_up) {
    const auto answer = call({.url = "https://" + address});
    ASSERT_FALSE(answer) << "a self-signed certificate was taken";
    message = answer.error().message;
  }
  EXPECT_NE(message.find("certificate"), std::string::npos) << message;
  std::filesystem::remove_all(folder);
}

TEST_F(WebClientWorld, ACancelledRequestIsNeverAnswered) {
  std::vector<http::Responder> kept;
  script = [&](const http::Request&, http::Responder responder) { kept.push_back(std::move(responder)); };
  bool called = false;
  const auto id = client->send({.url = url}, [&](const Result<WebAnswer>&) { called = true; });
  ASSERT_TRUE(until([&] { return !kept.empty(); }));
  client->cancel(id);
  kept[0].respond(http::json_response(200, "{}"));
  const auto refused = client->send({.url = "gopher://"}, [&](const Result<WebAnswer>&) { called = true; });
  client->cancel(refused);
  script = [](const http::Request&, http::Responder responder) { responder.respond(http::json_response(200, "{}")); };
  EXPECT_TRUE(call({.url = url}));
  EXPECT_FALSE(called);
}

TEST_F(WebClientWorld, TheCallbackMayDestroyTheClient) {
  bool second = false;
  int calls = 0;
  for (int i = 0; i < 4; ++i)
    client->send({.url = i % 2 == 0 ? url : "bad"}, [&](const Result<WebAnswer>&) {
      second = calls++ > 0;
      client.reset();
    });
  EXPECT_TRUE(until([&] { return client == nullptr; }));
  for (int i = 0; i < 5; ++i) loop.run_once(Milliseconds(1));
  EXPECT_FALSE(second);
}

}  // namespace
}  // namespace flexpert::web_client
