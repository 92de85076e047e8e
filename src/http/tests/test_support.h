#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "http/client.h"
#include "http/server.h"
#include "net/stream.h"

namespace flexpert::http {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-http-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline net::Address address_of(const std::string& text) {
  const auto address = net::Address::parse(text);
  EXPECT_TRUE(address) << address.error().message;
  return address.value_or(net::Address{});
}

/// Runs the loop until `condition` holds or 20 s have passed.
inline bool run_until(net::EventLoop& loop, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + Seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < deadline) loop.run_once(Milliseconds(50));
  return condition();
}

/// A client that sends and receives plain bytes.
class RawClient final : public net::StreamHandler {
 public:
  RawClient(net::EventLoop& loop, const net::Address& address) : loop_(loop) {
    auto connecting = net::Stream::connect(loop, address, Seconds(5), this);
    EXPECT_TRUE(connecting) << connecting.error().message;
    if (connecting) stream = std::move(*connecting);
  }
  void on_bytes(std::string_view bytes) override { received += bytes; }
  void on_closed(const Error* error) override {
    closed = true;
    failed = error != nullptr;
  }
  void send(std::string_view bytes) { stream->write(bytes); }
  bool wait_for(std::string_view text) {
    return run_until(loop_, [&] { return received.find(text) != std::string::npos || closed; }) && received.find(text) != std::string::npos;
  }
  bool wait_closed() {
    return run_until(loop_, [&] { return closed; });
  }

  std::unique_ptr<net::Stream> stream;
  std::string received;
  bool closed = false;
  bool failed = false;  ///< closed, and not in an orderly way

 private:
  net::EventLoop& loop_;
};

/// A server on a free port of loopback whose handler a test may set.
class ServerFixture : public testing::Test {
 protected:
  void start_server(ServerLimits limits = {}, const std::string& address = "127.0.0.1:0") {
    server = std::make_unique<Server>(loop, limits, [this](Request request, Responder responder) {
      ++requests;
      handler(std::move(request), std::move(responder));
    });
    const auto bound = server->listen(address_of(address));
    ASSERT_TRUE(bound) << bound.error().message;
    at = *bound;
  }
  net::EventLoop loop;
  std::unique_ptr<Server> server;
  net::Address at;
  int requests = 0;
  Server::Handler handler = [](Request request, Responder responder) {
    Response response{.body = request.method + " " + request.target + " " + request.body};
    responder.respond(std::move(response));
  };
};

/// What one answer of a Client came to.
struct Answer {
  int status = 0;
  Headers headers;
  std::string body;
  bool ended = false;
  bool failed = false;
  Error error;

  AnswerCallbacks callbacks() {
    return {.on_head =
                [this](int code, const Headers& fields) {
                  status = code;
                  headers = fields;
                },
            .on_body = [this](std::string_view bytes) { body += bytes; },
            .on_end = [this] { ended = true; },
            .on_error =
                [this](Error reason) {
                  failed = true;
                  error = std::move(reason);
                }};
  }
  [[nodiscard]] bool over() const { return ended || failed; }
};

}  // namespace flexpert::http
