#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/client.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// Runs a loop on a thread of its own, with something on it that is made and destroyed there.
template <class T>
class OnLoop {
 public:
  template <class Make>
  explicit OnLoop(Make make) {
    call([&] { value_ = make(loop_); });
  }
  ~OnLoop() {
    call([&] { value_.reset(); });
    loop_.stop();
    thread_.join();
  }
  /// Runs `task` on the loop's thread and waits for it.
  template <class Task>
  void call(Task task) {
    std::promise<void> done;
    loop_.post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  T& value() { return *value_; }

 private:
  net::EventLoop loop_;
  std::unique_ptr<T> value_;
  std::thread thread_{[this] { loop_.run(); }};
};

/// What one call gave.
struct Answer {
  int status = 0;
  http::Headers headers;
  std::string body;

  [[nodiscard]] boost::json::value json() const {
    boost::system::error_code error;
    auto value = boost::json::parse(body, error);
    EXPECT_FALSE(error) << "not JSON: " << body;
    return value;
  }
  [[nodiscard]] std::string error(std::string_view field) const {
    const auto value = json();
    const auto* object = value.if_object();
    if (object == nullptr || !object->contains("error")) return "no error: " + body;
    const auto& text = value.at("error").at({field.data(), field.size()});
    return text.is_string() ? std::string(text.get_string()) : "null";
  }
  /// The JSON of every event of a stream but [DONE].
  [[nodiscard]] std::vector<boost::json::value> events() const {
    std::vector<boost::json::value> found;
    for (std::size_t at = 0; at < body.size();) {
      const std::size_t end = body.find("\n\n", at);
      EXPECT_NE(end, std::string::npos) << "an event is cut off: " << body.substr(at);
      if (end == std::string::npos) break;
      const std::string event = body.substr(at, end - at);
      at = end + 2;
      EXPECT_TRUE(event.starts_with("data: ")) << event;
      if (event == "data: [DONE]") EXPECT_EQ(at, body.size()) << "something follows [DONE]";
      else found.push_back(boost::json::parse(event.substr(6)));
    }
    return found;
  }
};

inline Answer call(const net::Address& address, std::string method, std::string target, std::string body = {}) {
  http::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  auto response = http::fetch(address, std::move(request), Seconds(60));
  if (!response) {
    ADD_FAILURE() << response.error().message;
    return {};
  }
  return {.status = response->status, .headers = std::move(response->headers), .body = std::move(response->body)};
}

inline std::future<Answer> call_async(const net::Address& address, std::string method, std::string target, std::string body = {}) {
  return std::async(std::launch::async, [=] { return call(address, method, target, body); });
}

/// A client whose request can be given up in the middle.
class StreamClient {
 public:
  StreamClient(const net::Address& address, const std::string& target, const std::string& body) : client_(loop_, {}) {
    http::Request request;
    request.method = "POST";
    request.target = target;
    request.body = body;
    id_ = client_.send(address, std::move(request),
                       {.on_head = [this](int status, const http::Headers&) { status_ = status; },
                        .on_body = [this](std::string_view bytes) { body_ += bytes; },
                        .on_end = [this] { ended_ = true; },
                        .on_error = [this](const Error& error) { error_ = error; }});
  }
  /// Turns the loop until `condition` holds, at most 10 s.
  template <class Condition>
  bool wait(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + Seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < until) loop_.run_once(Milliseconds(100));
    return condition();
  }
  bool wait_for_text(std::string_view text) {
    return wait([&] { return body_.find(text) != std::string::npos; });
  }
  bool wait_for_end() {
    return wait([&] { return ended_ || error_.has_value(); });
  }
  void go_away() {
    client_.cancel(id_);
    loop_.run_once(Duration::zero());
  }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] const std::string& body() const { return body_; }

 private:
  net::EventLoop loop_;
  http::Client client_;
  http::Client::RequestId id_ = 0;
  int status_ = 0;
  bool ended_ = false;
  std::string body_;
  std::optional<Error> error_;
};

}  // namespace flexpert::engine
