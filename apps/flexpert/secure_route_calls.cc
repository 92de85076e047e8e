#include "flexpert/secure_route_calls.h"

#include <utility>

#include <fmt/format.h>

namespace flexpert::app {

SecureRouteCalls::SecureRouteCalls(http::Client& client, net::Address gateway) : client_(client), gateway_(std::move(gateway)) {
  const auto add = [&](std::string token, std::string body, int expected_status) {
    const std::string header = token.empty() ? "" : fmt::format(" -H \"X-Expert-Access-Token: {}\"", token);
    const std::string command = fmt::format("curl -X POST http://localhost:{}/route -H \"Content-Type: application/json\"{} -d '{}'", gateway_.port, header, body);
    calls_.push_back({.command = command, .token = std::move(token), .body = std::move(body), .expected_status = expected_status, .status = 0, .answer = {}});
  };
  add("", R"({"token_id": 101, "expert_names": ["A", "B"]})", 200);
  add("PREMIUM_USER_TOKEN", R"({"token_id": 202, "expert_names": ["C"]})", 200);
  add("", R"({"token_id": 303, "expert_names": ["C"]})", 403);
}

void SecureRouteCalls::run(std::function<void(const std::vector<SecureRouteCall>&)> done) {
  done_ = std::move(done);
  next();
}

void SecureRouteCalls::next() {
  if (current_ == calls_.size()) return std::exchange(done_, nullptr)(calls_);
  SecureRouteCall& call = calls_[current_++];
  http::Request request;
  request.method = "POST";
  request.target = "/route";
  request.headers.add("Content-Type", "application/json");
  if (!call.token.empty()) request.headers.add("X-Expert-Access-Token", call.token);
  request.body = call.body;
  client_.send(gateway_, std::move(request),
               {.on_head = [&call](int status, const http::Headers&) { call.status = status; },
                .on_body = [&call](std::string_view bytes) { call.answer += bytes; },
                .on_end = [this] { next(); },
                .on_error = [this, &call](const Error& error) {
                  call.status = 0;
                  call.answer = error.message;
                  next();
                }});
}

}  // namespace flexpert::app
