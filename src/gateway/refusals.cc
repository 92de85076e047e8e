#include "gateway/refusals.h"

#include "codec/http1.h"
#include "http/message.h"

namespace flexpert::gateway {
namespace {

constexpr std::string_view kOverloaded = "overloaded_error";
constexpr std::string_view kUpstream = "upstream_error";

}  // namespace

Refusal no_such_path(std::string_view path) {
  return {.status = 404, .message = fmt::format("No such path: {}", path.substr(0, 200)), .code = "unknown_url"};
}

Refusal wrong_method(std::string_view path, std::string_view methods) {
  return {.status = 405, .message = fmt::format("{} takes {} only", path, methods), .code = "method_not_allowed"};
}

Refusal encoded_body() {
  return {.status = 415, .message = "Content-Encoding: bodies are taken as they are, not compressed; send the JSON itself", .code = "unsupported_encoding"};
}

Refusal no_such_model(std::string_view model) {
  return {.status = 404,
          .message = fmt::format("The model `{}` does not exist or you do not have access to it; GET /v1/models lists those that you may use", model),
          .param = "model",
          .code = "model_not_found"};
}

Refusal masking_unavailable(std::string_view model) {
  return {.status = 403,
          .message = fmt::format("Some experts of the model `{}` are not yours to use, and no server of it can leave them out", model),
          .type = "permission_error",
          .param = "model",
          .code = "expert_masking_unavailable"};
}

Refusal nobody_ready(std::string_view model, int retry_after_s) {
  return {.status = 503,
          .message = fmt::format("No server of the model `{}` is ready; try again", model),
          .type = kOverloaded,
          .code = "no_server_ready",
          .retry_after_s = retry_after_s};
}

Refusal too_many_held() {
  return {.status = 503, .message = "Too many requests wait for this model already; try again", .type = kOverloaded, .code = "too_many_held", .retry_after_s = 10};
}

Refusal upstream_timed_out() {
  return {.status = 504, .message = "The server did not answer in time", .type = kUpstream, .code = "upstream_timeout"};
}

Refusal upstream_went_away() {
  return {.status = 503, .message = "The server went away before it answered; try again", .type = kOverloaded, .code = "upstream_unavailable", .retry_after_s = 2};
}

Refusal upstream_answered_badly() {
  return {.status = 502, .message = "The server's answer broke off or was malformed", .type = kUpstream, .code = "upstream_failed"};
}

void append_refusal_fields(std::string& lines, const Refusal& refusal) {
  lines += "Content-Type: application/json\r\n";
  if (refusal.retry_after_s > 0) codec::append_http1_field(lines, "Retry-After", std::to_string(refusal.retry_after_s));
  if (!refusal.authenticate.empty()) codec::append_http1_field(lines, "WWW-Authenticate", refusal.authenticate);
}

std::string refusal_body(const Refusal& refusal) {
  return http::openai_error(refusal.status, refusal.message, refusal.type, refusal.param, refusal.code).body;
}

}  // namespace flexpert::gateway
