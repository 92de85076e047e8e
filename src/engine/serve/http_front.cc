#include "engine/serve/http_front.h"

#include <fmt/format.h>

#include "codec/openai_paths.h"

namespace flexpert::engine {

const std::array<HttpFront::Route, 21> HttpFront::kRoutes = {{
    {"/v1/chat/completions", "POST", GrantScope::kModel, &HttpFront::chat_completion},
    {"/v1/completions", "POST", GrantScope::kModel, &HttpFront::completion},
    {"/tokenize", "POST", GrantScope::kModel, &HttpFront::tokenize},
    {"/v1/models", "GET", GrantScope::kName, &HttpFront::models},
    {codec::kOneModelPath, "GET", GrantScope::kName, &HttpFront::model},
    {"/health", "GET", GrantScope::kOpen, &HttpFront::health},
    {"/ready", "GET", GrantScope::kOpen, &HttpFront::ready},
    {"/metrics", "GET", GrantScope::kOpen, &HttpFront::metrics},
    {"/internal/status", "GET", GrantScope::kOpen, &HttpFront::status},
    {"/internal/expert-loads", "GET", GrantScope::kOpen, &HttpFront::expert_loads},
    {"/internal/routing-table", "GET", GrantScope::kOpen, &HttpFront::routing_table},
    {"/internal/routing-table", "PUT", GrantScope::kOpen, &HttpFront::set_routing_table},
    {"/internal/experts", "POST", GrantScope::kModel, &HttpFront::run_experts},
    {"/internal/resources", "GET", GrantScope::kOpen, &HttpFront::resources},
    {"/internal/resources", "PUT", GrantScope::kOpen, &HttpFront::set_resources},
    {"/start_expert_distribution_record", "POST", GrantScope::kOpen, &HttpFront::start_recording},
    {"/start_expert_distribution_record", "GET", GrantScope::kOpen, &HttpFront::start_recording},
    {"/stop_expert_distribution_record", "POST", GrantScope::kOpen, &HttpFront::stop_recording},
    {"/stop_expert_distribution_record", "GET", GrantScope::kOpen, &HttpFront::stop_recording},
    {"/dump_expert_distribution_record", "POST", GrantScope::kOpen, &HttpFront::dump_recording},
    {"/dump_expert_distribution_record", "GET", GrantScope::kOpen, &HttpFront::dump_recording},
}};

HttpFront::HttpFront(net::EventLoop& loop, ServedModel model, http::ServerLimits limits)
    : loop_(loop),
      model_(std::move(model)),
      route_metrics_(model_.metrics),
      grants_(model_),
      openai_(std::make_shared<OpenAiRoutes>(loop, model_)),
      internal_(std::make_shared<InternalRoutes>(loop, model_, openai_->context_limit())),
      recording_(std::make_shared<RecordingRoutes>(loop, model_)),
      server_(std::make_unique<http::Server>(loop, limits, [this](const http::Request& request, http::Responder responder) {
        handle(request, std::move(responder));
      })) {
  openai_->start();
  model_.metrics.gauge("flexpert_paced", "1 if results are held back to emulate an accelerator, 0 at raw speed").set(model_.paced ? 1 : 0);
  model_.metrics.gauge("flexpert_model_info", "Always 1; names the served model", {{"model", model_.name}, {"fingerprint", model_.fingerprint}}).set(1);
}

HttpFront::~HttpFront() {
  openai_->stop();
  internal_->stop();
  recording_->drop_replies();
}

void HttpFront::handle(const http::Request& request, http::Responder responder) {
  std::string allowed;
  const std::string_view path = codec::model_of_path(request.path()) ? codec::kOneModelPath : request.path();
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    if (route.method == request.method) {
      Reply reply(std::move(responder), route_metrics_, route.path);
      const auto rights = grants_.check(request, route.scope);
      if (!rights) return reply.fail(rights.error());
      return (this->*route.handler)(request, *rights, std::move(reply));
    }
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
  }
  Reply reply(std::move(responder), route_metrics_, "other");
  if (allowed.empty())
    return reply.fail({.status = 404,
                       .message = fmt::format("Unknown request URL: {} {}. The API is under /v1.", request.method, request.path()),
                       .code = "unknown_url"});
  http::Response response = http::openai_error(
      405, fmt::format("Not allowed to {} on {}; allowed: {}.", request.method, request.path(), allowed), "invalid_request_error", {}, "method_not_allowed");
  response.headers.set("Allow", allowed);
  reply.respond(std::move(response));
}

bool HttpFront::refused(Reply& reply) const {
  if (!draining_) return false;
  reply.fail({.status = 503, .message = "This server is draining; send the request to another one.", .type = "server_error", .code = "draining"});
  return true;
}

void HttpFront::health(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { reply.respond_json(200, R"({"status":"ok"})"); }

void HttpFront::ready(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) {
  if (draining_) reply.respond_json(503, R"({"status":"draining"})");
  else reply.respond_json(200, R"({"status":"ready"})");
}

void HttpFront::metrics(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) {
  http::Response response{.status = 200, .headers = {}, .body = model_.metrics.text()};
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  reply.respond(std::move(response));
}

void HttpFront::models(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { openai_->models(std::move(reply)); }
void HttpFront::model(const http::Request& request, const RequestRights& /*rights*/, Reply reply) {
  openai_->model(codec::model_of_path(request.path()).value_or(""), std::move(reply));
}
void HttpFront::chat_completion(const http::Request& request, const RequestRights& rights, Reply reply) {
  if (refused(reply)) return;
  auto mask = grants_.mask(rights);
  if (!mask) return reply.fail(mask.error());
  openai_->chat_completion(request.body, {.mask = std::move(*mask), .deadline = rights.deadline}, std::move(reply));
}
void HttpFront::completion(const http::Request& request, const RequestRights& rights, Reply reply) {
  if (refused(reply)) return;
  auto mask = grants_.mask(rights);
  if (!mask) return reply.fail(mask.error());
  openai_->completion(request.body, {.mask = std::move(*mask), .deadline = rights.deadline}, std::move(reply));
}
void HttpFront::tokenize(const http::Request& request, const RequestRights& /*rights*/, Reply reply) {
  if (!refused(reply)) openai_->tokenize(request.body, std::move(reply));
}
void HttpFront::status(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { internal_->status(std::move(reply)); }
void HttpFront::expert_loads(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { internal_->expert_loads(std::move(reply)); }
void HttpFront::routing_table(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { internal_->routing_table(std::move(reply)); }
void HttpFront::set_routing_table(const http::Request& request, const RequestRights& /*rights*/, Reply reply) { internal_->set_routing_table(request.body, std::move(reply)); }
void HttpFront::resources(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { internal_->resources(std::move(reply)); }
void HttpFront::set_resources(const http::Request& request, const RequestRights& /*rights*/, Reply reply) { internal_->set_resources(request.body, std::move(reply)); }
void HttpFront::start_recording(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { recording_->start(std::move(reply)); }
void HttpFront::stop_recording(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { recording_->stop(std::move(reply)); }
void HttpFront::dump_recording(const http::Request& /*request*/, const RequestRights& /*rights*/, Reply reply) { recording_->dump(std::move(reply)); }
void HttpFront::run_experts(const http::Request& request, const RequestRights& rights, Reply reply) {
  if (!refused(reply)) internal_->run_experts(request.body, rights.forbidden, std::move(reply));
}

void HttpFront::drain(Duration deadline, std::move_only_function<void()> done) {
  draining_ = true;
  server_->drain(deadline, [this, done = std::move(done)]() mutable {
    // Posted, because the last exchange ends inside a generation that is just finishing.
    loop_.post([openai = std::weak_ptr(openai_), internal = std::weak_ptr(internal_), recording = std::weak_ptr(recording_), done = std::move(done)]() mutable {
      const auto routes = openai.lock();
      if (!routes) return;
      // What is left missed the deadline.
      routes->stop();
      if (const auto others = internal.lock()) others->stop();
      if (const auto others = recording.lock()) others->drop_replies();
      done();
    });
  });
}

}  // namespace flexpert::engine
