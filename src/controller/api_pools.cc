#include "controller/api.h"
#include "controller/pool_loop.h"

/// The part of the API that is about pools.
namespace flexpert::controller {
namespace {

constexpr std::string_view kPools = "/api/v1/pools/";
constexpr std::string_view kLimits = "/limits";
constexpr std::string_view kBudget = "/api/v1/budget";
constexpr std::string_view kGatewayReport = "/internal/gateway-report";
constexpr std::string_view kWebhookProgress = "/api/v1/webhook/progress";
constexpr std::string_view kTargets = "/internal/prometheus-targets";

http::Response wrong_method(const http::Request& request, std::string_view allowed) {
  return http::openai_error(405, fmt::format("only {} is allowed here: {}", allowed, request.method), "invalid_request_error");
}

}  // namespace

bool Api::handle_pools(const http::Request& request, http::Responder& responder) {
  const std::string_view path = request.path();
  const bool limits = path.starts_with(kPools) && path.ends_with(kLimits) && path.size() > kPools.size() + kLimits.size();
  const bool changes = limits || path == kBudget;
  const bool reports = path == kGatewayReport || path == kWebhookProgress;
  if (!changes && !reports && path != kTargets) return false;
  PoolLoop* pools = sources_.pools();
  if (pools == nullptr) {
    responder.respond(http::openai_error(404, "this controller has no pools", "invalid_request_error"));
  } else if (draining_ && changes) {
    responder.respond(http::openai_error(503, "the controller is draining", "server_error"));
  } else if (path == kTargets) {
    responder.respond(request.method == "GET" ? http::json_response(200, pools->prometheus_targets()) : wrong_method(request, "GET"));
  } else if (reports && request.method != "POST") {
    responder.respond(wrong_method(request, "POST"));
  } else if (path == kGatewayReport) {
    responder.respond(pools->take_gateway_report(request));
  } else if (path == kWebhookProgress) {
    responder.respond(pools->take_webhook_progress(request));
  } else if (request.method != "PUT" && request.method != "POST") {
    responder.respond(wrong_method(request, "PUT"));
  } else if (path == kBudget) {
    responder.respond(pools->change_budget(request.body));
  } else {
    responder.respond(pools->change_limits(path.substr(kPools.size(), path.size() - kPools.size() - kLimits.size()), request.body));
  }
  return true;
}

}  // namespace flexpert::controller
