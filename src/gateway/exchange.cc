#include "gateway/exchange.h"

#include <algorithm>
#include <utility>

#include "codec/http1.h"
#include "codec/json_text.h"
#include "codec/openai_paths.h"
#include "gateway/message_of.h"
#include "gateway/refusals.h"
#include "gateway/relay.h"
#include "gateway/route_handler.h"
#include "routing/degradation.h"

namespace flexpert::gateway {
namespace {

using codec::Http1KnownField;

std::string_view our_text(std::string_view method) {
  for (const std::string_view known : {"POST", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"})
    if (known == method) return known;
  return "other";
}

}  // namespace

Exchange::~Exchange() {
  if (active_) drop();
}

void Exchange::begin(http::InboundExchange& client) {
  active_ = true;
  client_ = &client;
  client.set_listener(this);
  arrived_ = relay_.parts_.loop.now();
  id_ = RequestId(relay_.rng_.next(), static_cast<std::uint32_t>(relay_.rng_.next()));
  peer_ = client.peer();
  relay_.parts_.metrics.add_in_flight(1);
  const codec::Http1RequestView& head = client.head();
  method_ = our_text(head.method);
  trace_.begin(head, relay_.parts_.traces, relay_.rng_);
  route_ = find_route(Listener::kApi, head.path());
  if (head.method == "OPTIONS" && (route_ != nullptr || head.target == "*")) {
    std::string fields;
    codec::append_http1_field(fields, "Allow", route_ != nullptr ? route_->methods : "GET, HEAD, POST, OPTIONS");
    return respond(204, fields, {});
  }
  if (route_ == nullptr) return refuse(no_such_path(head.path()));
  if (!takes(*route_, head.method)) return refuse(wrong_method(route_->path, route_->methods));
  if (const std::string_view encoding = head.find(Http1KnownField::kContentEncoding);
      !encoding.empty() && !codec::http1_equal_ignoring_case(encoding, "identity"))
    return refuse(encoded_body());
  auto verdict = relay_.parts_.authenticator.authenticate(head, [this](AuthResult later) {
    verdict_.reset();
    take_verdict(std::move(later));
  });
  if (auto* pending = std::get_if<std::unique_ptr<Authenticator::Pending>>(&verdict)) {
    verdict_ = std::move(*pending);
  } else {
    take_verdict(std::move(std::get<AuthResult>(verdict)));
  }
}

void Exchange::take_verdict(AuthResult verdict) {
  if (auto* refusal = std::get_if<Refusal>(&verdict)) {
    relay_.parts_.metrics.count_authentication_failure();
    return refuse(*refusal);
  }
  caller_ = std::move(std::get<CallerPtr>(verdict));
  if (whole_) proceed();
}

void Exchange::take_request() {
  whole_ = true;
  if (caller_) proceed();
}

void Exchange::proceed() {
  switch (route_->endpoint) {
    case Endpoint::kModels:
    case Endpoint::kOneModel: return answer_models();
    case Endpoint::kRoute: return give_to_route_handler();
    default: return take_generation();
  }
}

void Exchange::answer_models() {
  const auto append = [this](std::string& body, std::string_view name) {
    body += "{\"id\":";
    codec::append_json_string(body, name);
    body += fmt::format(",\"object\":\"model\",\"created\":{},\"owned_by\":\"flexpert\"}}", relay_.started_unix_s_);
  };
  const auto names = relay_.parts_.directory.models();
  std::string body;
  if (route_->endpoint == Endpoint::kOneModel) {
    const std::string wanted = codec::model_of_path(client_->head().path()).value_or("");
    if (caller_->grant->model(wanted) == nullptr || std::find(names.begin(), names.end(), wanted) == names.end()) return refuse(no_such_model(wanted));
    append(body, wanted);
  } else {
    body = "{\"object\":\"list\",\"data\":[";
    bool first = true;
    for (const std::string& name : names) {
      if (caller_->grant->model(name) == nullptr) continue;
      if (!std::exchange(first, false)) body += ',';
      append(body, name);
    }
    body += "]}";
  }
  respond(200, "Content-Type: application/json\r\n", body);
}

void Exchange::give_to_route_handler() {
  auto answer = std::make_unique<Answer>(static_cast<Answer::Sink&>(*this));
  local_ = answer.get();
  relay_.parts_.routes.handle(message_of(*client_), {.caller = caller_, .request_id = std::string(id_.text()), .peer = peer_}, std::move(answer));
}

void Exchange::take_generation() {
  const std::string_view body = client_->body();
  request_bytes_ = body.size();
  if (const auto refusal = relay_.scanner_.scan(body, fields_)) return refuse(*refusal);
  const ServerDirectory& directory = relay_.parts_.directory;
  right_ = caller_->grant->model(fields_.model);
  if (right_ == nullptr && directory.knows(fields_.model)) audit("denied", fields_.model, "model_not_allowed");
  if (right_ == nullptr || (!directory.knows(fields_.model) && !directory.recovering(fields_.model, arrived_, relay_.options_.recovery_wait)))
    return refuse(no_such_model(fields_.model));
  load_.emplace(relay_.parts_.load, fields_.model, body.size(), fields_.max_tokens);
  fields_.model = load_->model();  // which stays while the next request is scanned
  look_in_cache(change());
}

void Exchange::ask_for_admission() {
  auto outcome = relay_.parts_.admission.admit({.caller = caller_.get(),
                                                 .model = fields_.model,
                                                 .prompt_tokens = static_cast<std::uint64_t>(load_->prompt_estimate()),
                                                 .max_tokens = answer_tokens(),
                                                 .cost = right_->cost},
                                                [this](Admission::Outcome later) {
                                                  queued_.reset();
                                                  take_admission(std::move(later));
                                                });
  if (auto* waiting = std::get_if<std::unique_ptr<Admission::Waiting>>(&outcome)) {
    queued_ = std::move(*waiting);
  } else {
    take_admission(std::move(std::get<Admission::Outcome>(outcome)));
  }
}

std::uint64_t Exchange::answer_tokens() const {
  if (route_->endpoint != Endpoint::kChat && route_->endpoint != Endpoint::kCompletions) return 0;
  return fields_.max_tokens.value_or(relay_.options_.default_max_tokens);
}

void Exchange::take_admission(Admission::Outcome outcome) {
  if (!outcome) return refuse(outcome.error());
  admitted_ = std::move(*outcome);
  attempt();
}

Exchange::Changes Exchange::change() {
  const Degradation step = relay_.parts_.admission.degradation(*caller_, fields_.model);
  Changes changes{.even_stale = step.answer_from_cache};
  if (answer_tokens() == 0) return changes;
  const auto more_than = [this](std::uint64_t cap) { return cap > 0 && fields_.max_tokens.value_or(cap + 1) > cap; };
  const std::uint64_t most = caller_->grant->tenant.limits.max_tokens;
  capped_ = more_than(step.cap_max_tokens) && (most == 0 || step.cap_max_tokens < most);
  moved_ = !step.smaller_model.empty() && caller_->grant->model(step.smaller_model) != nullptr && relay_.parts_.directory.find(step.smaller_model) != nullptr;
  if (capped_ || more_than(most)) changes.cap_max_tokens = capped_ ? step.cap_max_tokens : most;
  if (!moved_ && changes.cap_max_tokens == 0) return changes;
  splice_ = std::make_unique<BodySplice>();
  splice_->reset(client_->body());
  if (changes.cap_max_tokens != 0) {
    splice_->cap_max_tokens(fields_, changes.cap_max_tokens);
    fields_.max_tokens = changes.cap_max_tokens;
  }
  if (moved_) {
    splice_->replace_model(fields_, step.smaller_model);
    right_ = caller_->grant->model(step.smaller_model);
    load_.emplace(relay_.parts_.load, step.smaller_model, client_->body().size(), fields_.max_tokens);
    fields_.model = load_->model();
  }
  if (capped_ || moved_) note_degradation(routing::degraded_header(capped_, false, moved_));
  return changes;
}

void Exchange::note_degradation(std::string_view steps) {
  degraded_ = steps;
  audit("degraded", fields_.model, steps);
  relay_.parts_.metrics.count_degraded(steps);
}

}  // namespace flexpert::gateway
