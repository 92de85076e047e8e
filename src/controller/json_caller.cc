#include "controller/json_caller.h"

#include <boost/json.hpp>

namespace flexpert::controller {
namespace {

constexpr std::size_t kLargestBody = 16 * 1024 * 1024;

/// What one call gathers.
struct Exchange {
  std::string what;
  int status = 0;
  std::string body;
  bool too_large = false;
  JsonCaller::Done done;
};

std::string server_message(const std::string& body) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(body, error);
  if (!error && value.is_object())
    if (const auto* inner = value.get_object().if_contains("error"); inner != nullptr && inner->is_object())
      if (const auto* message = inner->get_object().if_contains("message"); message != nullptr && message->is_string())
        return std::string(message->get_string());
  return body.substr(0, 200);
}

Result<std::string> outcome(Exchange& exchange) {
  if (exchange.too_large) return fail(ErrorCode::kResourceExhausted, "{}: answer over {} bytes", exchange.what, kLargestBody);
  if (exchange.status == 200) return std::move(exchange.body);
  const ErrorCode code = exchange.status == 409                             ? ErrorCode::kFailedPrecondition
                         : exchange.status == 404                           ? ErrorCode::kNotFound
                         : exchange.status >= 400 && exchange.status < 500 ? ErrorCode::kInvalidArgument
                                                                            : ErrorCode::kUnavailable;
  return fail(code, "{}: answered {}: {}", exchange.what, exchange.status, server_message(exchange.body));
}

}  // namespace

JsonCaller::JsonCaller(net::EventLoop& loop)
    : client_(loop, {.connect_timeout = Seconds(1), .head_timeout = Seconds(10), .idle_timeout = Seconds(10)}) {}

void JsonCaller::call(const net::Address& address, std::string method, std::string target, std::string body, Done done) {
  call(address, std::move(method), std::move(target), std::move(body), http::Headers{}, std::move(done));
}

void JsonCaller::call(const net::Address& address, std::string method, std::string target, std::string body, http::Headers headers,
                      Done done) {
  auto exchange = std::make_shared<Exchange>();
  exchange->what = fmt::format("{} {} at {}", method, target, address.to_string());
  exchange->done = std::move(done);
  http::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers = std::move(headers);
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [exchange](int status, const http::Headers&) { exchange->status = status; };
  callbacks.on_body = [exchange](std::string_view bytes) {
    exchange->too_large = exchange->too_large || exchange->body.size() + bytes.size() > kLargestBody;
    if (!exchange->too_large) exchange->body.append(bytes);
  };
  callbacks.on_end = [exchange] { exchange->done(outcome(*exchange)); };
  callbacks.on_error = [exchange](const Error& error) { exchange->done(fail(error.with_context(exchange->what))); };
  client_.send(address, std::move(request), std::move(callbacks));
}

}  // namespace flexpert::controller
