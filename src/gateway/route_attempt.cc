// A call of /route from the choice of a model server to its answer.
#include "base/log.h"
#include "codec/internal_grant.h"
#include "codec/json_text.h"
#include "crypto/digest.h"
#include "gateway/relay.h"
#include "gateway/route_call.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kLongestAnswer = 1024 * 1024;
constexpr int kMaxAttempts = 2;

void append_field(std::string& out, std::string_view key, std::string_view value) {
  out += fmt::format("\"{}\":", key);
  codec::append_json_string(out, value);
}

}  // namespace

void RouteHandler::attempt(std::uint64_t id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = *found->second;
  ++call.attempts;
  call.server_load.release();
  ServerPick picked = directory_.pick_of_fleet({.excluded = call.failed_servers}, clock_.now());
  if (!picked.ticket.held()) return refuse(call, unavailable("No model server is ready to run experts; try again", "no_server_ready", 1));
  if (!choose(call)) {
    std::vector<std::string> names;
    for (const auto& [name, weight] : call.allowed) names.push_back(name);
    return refuse(call, unavailable(fmt::format("No expert server is ready that holds {}; try again", fmt::join(names, ", ")),
        "no_expert_ready", 1));
  }
  // The policy may have changed since the call was let in: what its groups hold now must still be its caller's.
  const auth::ModelRight* right = call.who.caller->grant->model(model_);
  for (const Share& share : call.shares)
    for (const ExpertSlot slot : share.slots)
      if (right == nullptr || right->forbidden.contains(slot)) {
        audit(call.who, "denied", {share.group});
        return refuse(call, http::openai_error(403, fmt::format("expert_names: {} is not for this caller any more", share.group),
            "permission_error",
                                               "expert_names", "expert_forbidden"));
      }
  call.server = picked.server->id;
  call.server_load = std::move(picked.ticket);
  call.status = 0;
  call.body.clear();

  http::Request request;
  request.method = "POST";
  request.target = "/internal/experts";
  request.headers.add("Content-Type", "application/json");
  request.body = fmt::format("{{\"token_id\":{},\"timeout_ms\":{},\"calls\":[", call.token_id,
                             std::chrono::duration_cast<Milliseconds>(options_.expert_timeout).count());
  for (std::size_t i = 0; i < call.shares.size(); ++i) {
    const Share& share = call.shares[i];
    request.body += i == 0 ? "{" : ",{";
    append_field(request.body, "name", share.group);
    request.body += ',';
    append_field(request.body, "instance", share.instance);
    request.body += ",\"weight\":";
    codec::append_json_number(request.body, share.weight);
    request.body += ",\"slots\":[";
    for (std::size_t s = 0; s < share.slots.size(); ++s)
      request.body += fmt::format("{}[{},{}]", s == 0 ? "" : ",", share.slots[s].layer, share.slots[s].expert);
    request.body += "]}";
  }
  request.body += "]}";
  if (options_.signer != nullptr) {
    std::string grant;
    const GrantSigner::Request signed_request{.request_id = call.who.request_id, .body_sha256 = crypto::sha256(request.body),
        .unix_ms = clock_.unix_ms()};
    if (const auto made = options_.signer->append(grant, *call.who.caller, model_, signed_request); !made)
      return refuse(call, http::openai_error(403, "The rights of this caller cannot be told to a model server", "permission_error", {},
          "expert_masking_unavailable"));
    request.headers.add(std::string(codec::kInternalGrantField), std::move(grant));
  }

  http::AnswerCallbacks callbacks;
  callbacks.on_head = [this, id](int status, const http::Headers&) {
    if (const auto at = calls_.find(id); at != calls_.end()) at->second->status = status;
  };
  callbacks.on_body = [this, id](std::string_view bytes) {
    const auto at = calls_.find(id);
    if (at != calls_.end() && at->second->body.size() + bytes.size() <= kLongestAnswer) at->second->body += bytes;
  };
  callbacks.on_end = [this, id] { took_end(id); };
  callbacks.on_error = [this, id](const Error& error) { took_error(id, error); };
  const auto sent = client_->send(picked.server->address, std::move(request), std::move(callbacks));
  if (const auto still = calls_.find(id); still != calls_.end()) still->second->sent = sent;
}

void RouteHandler::took_end(std::uint64_t id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = *found->second;
  call.sent.reset();
  if (call.status == 200) {
    auto answer = parse_experts_answer(call.body);
    if (answer && answer->calls.size() == call.shares.size()) return succeed(call, *answer);
    return refuse(call, http::openai_error(502, "The model server's answer cannot be read", "upstream_error", {}, "upstream_failed"));
  }
  const ErrorText error = parse_error_body(call.body);
  log::warn("/route: server {} answered {}: {} ({})", call.server, call.status, error.message, error.code);
  // "call NAME" tells whose fault it was; without it every share is suspect.
  const std::string blamed = error.code.starts_with("call ") ? error.code.substr(5) : "";
  std::vector<std::string> instances;
  for (const Share& share : call.shares)
    if (blamed.empty() || share.group == blamed) instances.push_back(share.instance);
  const std::string who = fmt::format("{} on {}", blamed.empty() ? "experts" : blamed, joined_once(instances));
  switch (call.status) {
    case 400:
      return refuse(call, http::openai_error(400, error.message.empty() ? "The model server refused the token" : error.message,
          "invalid_request_error",
                                      "token_id", "invalid_request"));
    case 401: return refuse(call, http::openai_error(502,
        "The model server does not take this gateway's word: they have different secrets", "upstream_error", {},
                                                     "grant_refused"));
    case 403: return refuse(call, http::openai_error(403, "The model server does not let this caller use these experts",
        "permission_error", "expert_names",
                                                     "expert_forbidden"));
    case 404:
      // The fleet changed since our snapshot: choose again without what is no longer there.
      if (call.attempts < kMaxAttempts) {
        metrics_.count_retry("stale_route");
        call.stale_instances.insert(call.stale_instances.end(), instances.begin(), instances.end());
        return attempt(id);
      }
      return refuse(call, unavailable(fmt::format("No replica any more: {}; try again", who), "no_expert_ready", 1));
    case 503: return refuse(call, unavailable("The model server is not ready; try again", "no_server_ready", 1));
    case 504: return refuse(call, http::openai_error(504, fmt::format("No answer in time: {}", who), "upstream_error", {},
        "expert_timeout"));
    default: return refuse(call, http::openai_error(502, fmt::format("Failed: {}", who), "upstream_error", {}, "expert_failed"));
  }
}

void RouteHandler::took_error(std::uint64_t id, const Error& error) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = *found->second;
  call.sent.reset();
  log::warn("/route: server {} failed: {}", call.server, error.message);
  if (error.code == ErrorCode::kDeadlineExceeded)
    return refuse(call, http::openai_error(504, "The model server did not answer in time", "upstream_error", {}, "upstream_timeout"));
  if (error.code == ErrorCode::kUnavailable) {
    directory_.mark_lost(call.server, clock_.now());
    if (call.attempts < kMaxAttempts) {
      metrics_.count_retry(name_of(error.code));
      call.failed_servers.push_back(call.server_load.endpoint());
      return attempt(id);
    }
    return refuse(call, unavailable("The model server went away; try again", "upstream_unavailable", 1));
  }
  refuse(call, http::openai_error(502, "The model server's answer broke off", "upstream_error", {}, "upstream_failed"));
}

void RouteHandler::succeed(Call& call, const ExpertsAnswer& answer) {
  std::vector<std::string> names;
  std::vector<std::string> instances;
  for (const Share& share : call.shares) {
    names.push_back(share.group);
    instances.push_back(share.instance);
  }
  const Duration took = clock_.now() - call.arrived;
  std::string body = "{";
  append_field(body, "expert", joined_once(names));
  body += fmt::format(",\"input_token_id\":{},\"status\":\"processed\",\"latency_ms\":{:.3f},", call.token_id, to_ms(took));
  append_field(body, "instance", joined_once(instances));
  body += ',';
  append_field(body, "output_digest", answer.output_digest);
  if (call.mode == RouteMode::kAll) {
    body += ",\"experts\":[";
    for (std::size_t i = 0; i < call.shares.size(); ++i) {
      body += i == 0 ? "{" : ",{";
      append_field(body, "expert", call.shares[i].group);
      body += ',';
      append_field(body, "instance", call.shares[i].instance);
      body += fmt::format(",\"weight\":{:.6g},\"latency_ms\":{:.3f}}}", call.shares[i].weight, answer.calls[i].latency_ms);
    }
    body += ']';
  }
  body += '}';
  metrics_.observe_route(took);
  count_groups(call, "processed");
  http::Response response = http::json_response(200, std::move(body));
  if (!call.downgraded.empty()) response.headers.set("X-Expert-Downgraded", call.downgraded);
  call.answer->respond(std::move(response));
  end(call.id);
}

/// Counts each group once, over however many instances it is spread: its shares stand side by side.
void RouteHandler::count_groups(const Call& call, const std::string& outcome) {
  for (std::size_t i = 0; i < call.shares.size(); ++i)
    if (i == 0 || call.shares[i].group != call.shares[i - 1].group) metrics_.count_group(call.shares[i].group, outcome);
}

void RouteHandler::refuse(Call& call, http::Response response) {
  count_groups(call, "failed");
  if (!call.downgraded.empty()) response.headers.set("X-Expert-Downgraded", call.downgraded);
  call.answer->respond(std::move(response));
  end(call.id);
}

void RouteHandler::end(std::uint64_t id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  const std::unique_ptr<Call> call = std::move(found->second);
  calls_.erase(found);
}

}  // namespace flexpert::gateway
