#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "codec/openai_request.h"
#include "http/server.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

/// Counts requests by route and status, and those in flight. Belongs to the loop's thread.
class RouteMetrics {
 public:
  explicit RouteMetrics(telemetry::Registry& registry);
  void begin() { in_flight_.add(1); }
  void end(std::string_view route, int status);

 private:
  telemetry::Registry& registry_;
  telemetry::Gauge in_flight_;
  std::map<std::pair<std::string, int>, telemetry::Counter> requests_;
};

/// The answer to one HTTP request, with its accounting: counted once, when it is over. A reply that is dropped unanswered
/// counts as 499 if the client has gone, else as 500 (which the HTTP server then sends). Belongs to the loop's thread.
class Reply {
 public:
  /// `metrics` and the text of `route` must outlive the reply.
  Reply(http::Responder responder, RouteMetrics& metrics, std::string_view route);
  Reply(Reply&& other) noexcept;
  Reply& operator=(Reply&&) = delete;
  ~Reply();

  void respond(http::Response response);
  void respond_json(int status, std::string body);
  /// Answers in OpenAI's error shape; 429 and 503 carry Retry-After.
  void fail(const codec::ApiError& error);
  /// Begins a stream of server-sent events.
  void start_events();
  void write(std::string_view events) { responder_.write(events); }
  void finish();
  /// Cuts the connection.
  void abort();
  void on_disconnect(std::move_only_function<void()> callback) { responder_.on_disconnect(std::move(callback)); }
  [[nodiscard]] bool started() const { return started_; }

 private:
  void over(int status);

  http::Responder responder_;
  RouteMetrics* metrics_;
  std::string_view route_;
  bool started_ = false;
};

/// Makes the refusal that fits an error of ours.
codec::ApiError to_api_error(const Error& error);

}  // namespace flexpert::engine
