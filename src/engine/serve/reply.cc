#include "engine/serve/reply.h"

#include "codec/openai_answer.h"

namespace flexpert::engine {

RouteMetrics::RouteMetrics(telemetry::Registry& registry)
    : registry_(registry), in_flight_(registry.gauge("flexpert_http_requests_in_flight", "HTTP requests not yet answered")) {}

void RouteMetrics::end(std::string_view route, int status) {
  in_flight_.add(-1);
  const auto key = std::pair(std::string(route), status);
  auto counter = requests_.find(key);
  if (counter == requests_.end()) {
    const auto handle = registry_.counter("flexpert_http_requests_total", "HTTP requests by route and status; 499 = the client went away",
                                          {{"route", key.first}, {"status", std::to_string(status)}});
    counter = requests_.emplace(key, handle).first;
  }
  counter->second.add();
}

Reply::Reply(http::Responder responder, RouteMetrics& metrics, std::string_view route)
    : responder_(std::move(responder)), metrics_(&metrics), route_(route) {
  metrics_->begin();
}

Reply::Reply(Reply&& other) noexcept
    : responder_(std::move(other.responder_)), metrics_(std::exchange(other.metrics_, nullptr)), route_(other.route_), started_(other.started_) {}

Reply::~Reply() {
  if (metrics_ != nullptr) over(responder_.gone() ? 499 : 500);
}

void Reply::over(int status) {
  if (metrics_ != nullptr) std::exchange(metrics_, nullptr)->end(route_, status);
}

void Reply::respond(http::Response response) {
  const int status = response.status;
  responder_.respond(std::move(response));
  over(status);
}

void Reply::respond_json(int status, std::string body) { respond(http::json_response(status, std::move(body))); }

void Reply::fail(const codec::ApiError& error) {
  http::Response response = http::json_response(error.status, codec::encode(error));
  if (error.status == 429 || error.status == 503) response.headers.set("Retry-After", "1");
  if (error.status == 401) response.headers.set("WWW-Authenticate", "Flexpert-Grant");
  respond(std::move(response));
}

void Reply::start_events() {
  http::Headers headers;
  headers.set("Content-Type", "text/event-stream");
  headers.set("Cache-Control", "no-cache");
  responder_.start(200, std::move(headers));
  started_ = true;
}

void Reply::finish() {
  responder_.finish();
  over(200);
}

void Reply::abort() {
  const bool gone = responder_.gone();
  responder_.abort();
  over(gone ? 499 : 500);
}

codec::ApiError to_api_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument: return {.status = 400, .message = error.message};
    case ErrorCode::kNotFound: return {.status = 404, .message = error.message, .code = "not_found"};
    case ErrorCode::kResourceExhausted: return {.status = 429, .message = error.message, .type = "rate_limit_error", .code = "queue_full"};
    case ErrorCode::kFailedPrecondition: return {.status = 409, .message = error.message, .code = "conflict"};
    case ErrorCode::kUnavailable: return {.status = 503, .message = error.message, .type = "server_error", .code = "unavailable"};
    case ErrorCode::kDeadlineExceeded: return {.status = 504, .message = error.message, .type = "server_error", .code = "timeout"};
    default: return {.status = 500, .message = error.message, .type = "server_error", .code = "internal_error"};
  }
}

}  // namespace flexpert::engine
