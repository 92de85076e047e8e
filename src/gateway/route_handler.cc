#include "gateway/route_handler.h"

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "codec/json_text.h"
#include "crypto/digest.h"
#include "gateway/relay.h"
#include "routing/group_cover.h"
#include "routing/least_loaded.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kLongestAnswer = 1024 * 1024;
constexpr int kMaxAttempts = 2;

http::Response route_error(int status, std::string_view message, std::string_view type, std::string_view param, std::string_view code) {
  return http::openai_error(status, message, type, param, code);
}

std::vector<auth::AccessToken> tokens_of(const config::FleetConfig& config) {
  std::vector<auth::AccessToken> tokens;
  for (const auto& token : config.tokens) tokens.push_back({token.name, token.sha256, token.groups});
  return tokens;
}

void append_field(std::string& out, std::string_view key, std::string_view value) {
  out += fmt::format("\"{}\":", key);
  codec::append_json_string(out, value);
}

/// The names in the order of their first mention, once each.
std::string joined(const std::vector<std::string>& names) {
  std::vector<std::string> once;
  for (const std::string& name : names)
    if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(name);
  return fmt::format("{}", fmt::join(once, ","));
}

}  // namespace

/// One call of /route from its authorisation to its answer.
struct RouteHandler::Call {
  std::uint64_t id = 0;
  std::unique_ptr<Answer> answer;
  TimePoint arrived;
  std::uint32_t token_id = 0;
  RouteMode mode = RouteMode::kAny;
  std::vector<std::pair<std::string, double>> allowed;  // group and gate weight
  std::string downgraded;                               // groups left out, for the header
  int attempts = 0;
  std::vector<std::string> failed_servers;
  std::vector<std::string> stale_instances;  // the model server does not know them any more

  // Of the current try:
  std::vector<Share> shares;
  std::string server;
  net::Address address;
  std::vector<routing::LoadCounts::Ticket> tickets;
  std::optional<http::Client::RequestId> sent;
  int status = 0;
  std::string body;
};

RouteHandler::RouteHandler(net::EventLoop& loop, const Clock& clock, const config::FleetConfig& config, ServerDirectory& directory,
                           GatewayMetrics& metrics, Options options)
    : loop_(loop),
      clock_(clock),
      groups_(config.model ? config.model->groups : std::vector<config::ExpertGroupConfig>{}),
      default_names_(config.default_route_groups),
      tokens_(tokens_of(config)),
      directory_(directory),
      metrics_(metrics),
      options_(options),
      self_(std::make_shared<RouteHandler*>(this)),
      // The model server keeps the experts' time limit and says which of them broke it: it gets a little longer itself.
      client_(std::make_unique<http::Client>(loop_, http::ClientOptions{.connect_timeout = Seconds(2),
                                                                        .head_timeout = options.expert_timeout + Milliseconds(500),
                                                                        .idle_timeout = options.expert_timeout + Milliseconds(500)})) {
  for (const auto& configured : groups_)
    policies_.push_back({configured.name, configured.security == "high" ? auth::SecurityLevel::kHigh : auth::SecurityLevel::kStandard});
}

RouteHandler::~RouteHandler() { client_.reset(); }

void RouteHandler::apply(std::shared_ptr<const FleetSnapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  instance_rows_.clear();
  double all_rows = 0;
  for (const InstanceStatus& instance : snapshot_->instances)
    if (instance.role == InstanceRole::kExpertServer) all_rows += instance.rows_per_s;
  for (const InstanceStatus& instance : snapshot_->instances)
    if (instance.role == InstanceRole::kExpertServer && instance.state == InstanceState::kReady)
      instance_rows_[instance.id.value] = all_rows > 0 ? instance.rows_per_s / all_rows : 0;
  instance_load_.forget_unless([&](const std::string& id) { return instance_rows_.contains(id); });
}

const config::ExpertGroupConfig* RouteHandler::group(const std::string& name) const {
  const auto found = std::find_if(groups_.begin(), groups_.end(), [&](const auto& known) { return known.name == name; });
  return found == groups_.end() ? nullptr : &*found;
}

double RouteHandler::utilisation(const config::ExpertGroupConfig& configured) const {
  double sum = 0;
  const RoutingTable* table = snapshot_ && snapshot_->routing ? &*snapshot_->routing : nullptr;
  for (const ExpertSlot slot : configured.slots) {
    if (table == nullptr || !table->geometry.contains(slot)) continue;
    const std::size_t index = table->geometry.index(slot);
    if (index < snapshot_->experts.size()) sum += snapshot_->experts[index].utilisation;
  }
  return configured.slots.empty() ? 0 : sum / static_cast<double>(configured.slots.size());
}

std::vector<RouteHandler::Share> RouteHandler::cover(const std::string& name, double weight, const std::vector<std::string>& excluded) const {
  const config::ExpertGroupConfig* configured = group(name);
  if (configured == nullptr || !snapshot_ || !snapshot_->routing) return {};
  const auto load_of = [&](const std::string& instance) -> std::optional<routing::LoadView> {
    const auto rows = instance_rows_.find(instance);
    if (rows == instance_rows_.end() || std::find(excluded.begin(), excluded.end(), instance) != excluded.end()) return std::nullopt;
    return routing::LoadView{instance_load_.in_flight(instance) + rows->second, instance_load_.last_used(instance)};
  };
  std::vector<Share> shares;
  const auto all = static_cast<double>(configured->slots.size());
  // Each call's output is the mean over its slots, so these weights make the group's the mean over all of them.
  for (auto& part : routing::cover_group(configured->slots, *snapshot_->routing, load_of))
    shares.push_back({name, part.instance, weight * static_cast<double>(part.slots.size()) / all, std::move(part.slots)});
  return shares;
}

void RouteHandler::handle(const http::Request& request, std::unique_ptr<Answer> answer) {
  auto parsed = parse_route_request(request.body, default_names_);
  if (!parsed) {
    const std::string& message = parsed.error().message;
    return answer->respond(route_error(400, message, "invalid_request_error", message.substr(0, message.find_first_of(":[ ")), "invalid_request"));
  }
  auth::Principal principal;
  if (const auto token = request.headers.find("X-Expert-Access-Token")) principal = tokens_.identify(crypto::sha256_hex(*token));
  const auth::GroupDecision decision = auth::authorise(principal, policies_, parsed->expert_names);
  if (!decision.unknown.empty()) {
    std::vector<std::string> known;
    for (const auto& policy : policies_) known.push_back(policy.name);
    return answer->respond(route_error(404, fmt::format("expert_names: no such expert: {}; known: {}", fmt::join(decision.unknown, ", "), fmt::join(known, ", ")),
                                       "invalid_request_error", "expert_names", "expert_not_found"));
  }
  if (decision.refused())
    return answer->respond(route_error(403, fmt::format("expert_names: {} needs an access token that names it, in X-Expert-Access-Token",
                                                        fmt::join(decision.dropped, ", ")),
                                       "permission_error", "expert_names", "expert_forbidden"));
  auto call = std::make_unique<Call>();
  const std::uint64_t id = call->id = next_id_++;
  call->arrived = clock_.now();
  call->token_id = parsed->token_id;
  call->mode = parsed->mode;
  call->downgraded = joined(decision.dropped);
  if (!call->downgraded.empty()) metrics_.count_downgrade();
  // What is left of the gate shares out all of it, as masking a forbidden expert and renormalising does.
  double all = 0;
  double left = 0;
  for (std::size_t i = 0; i < parsed->expert_names.size(); ++i) {
    const bool may = std::find(decision.allowed.begin(), decision.allowed.end(), parsed->expert_names[i]) != decision.allowed.end();
    all += parsed->gate_weights[i];
    if (!may) continue;
    left += parsed->gate_weights[i];
    call->allowed.emplace_back(parsed->expert_names[i], parsed->gate_weights[i]);
  }
  if (!decision.dropped.empty())
    for (auto& [name, weight] : call->allowed) weight *= all / left;
  call->answer = std::move(answer);
  call->answer->stream().on_disconnect([weak = std::weak_ptr<RouteHandler*>(self_), id] {
    const auto self = weak.lock();
    if (!self) return;
    const auto found = (*self)->calls_.find(id);
    if (found == (*self)->calls_.end()) return;
    if (found->second->sent) (*self)->client_->cancel(*found->second->sent);
    (*self)->end(id);
  });
  calls_.emplace(id, std::move(call));
  attempt(id);
}

/// Chooses groups and instances for the call and counts them as loaded; false if what it needs is not there.
bool RouteHandler::choose(Call& call) {
  call.tickets.clear();
  call.shares.clear();
  const auto take = [&](std::vector<Share> shares) {
    call.tickets.push_back(group_load_.take(shares.front().group));
    for (Share& share : shares) {
      call.tickets.push_back(instance_load_.take(share.instance));
      call.shares.push_back(std::move(share));
    }
  };
  if (call.mode == RouteMode::kAll) {
    for (const auto& [name, weight] : call.allowed) {
      auto shares = cover(name, weight, call.stale_instances);
      if (shares.empty()) return false;
      take(std::move(shares));
    }
    return true;
  }
  std::vector<std::vector<Share>> candidates;
  std::vector<routing::LoadView> loads;
  for (const auto& [name, weight] : call.allowed) {
    auto shares = cover(name, 1.0, call.stale_instances);
    if (shares.empty()) continue;
    loads.push_back({group_load_.in_flight(name) + utilisation(*group(name)), group_load_.last_used(name)});
    candidates.push_back(std::move(shares));
  }
  const auto best = routing::pick_least_loaded(loads);
  if (!best) return false;
  take(std::move(candidates[*best]));
  return true;
}

void RouteHandler::attempt(std::uint64_t id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = *found->second;
  ++call.attempts;
  const ModelServer* server = directory_.pick_of_fleet(call.failed_servers, clock_.now());
  if (server == nullptr) return refuse(call, unavailable("No model server is ready to run experts; try again", "no_server_ready", 1));
  if (!choose(call)) {
    std::vector<std::string> names;
    for (const auto& [name, weight] : call.allowed) names.push_back(name);
    return refuse(call, unavailable(fmt::format("No expert server is ready that holds {}; try again", fmt::join(names, ", ")), "no_expert_ready", 1));
  }
  call.server = server->id;
  call.tickets.push_back(directory_.load().take(server->id));
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
  const auto sent = client_->send(server->address, std::move(request), std::move(callbacks));
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
    return refuse(call, route_error(502, "The model server's answer cannot be read", "upstream_error", {}, "upstream_failed"));
  }
  const ErrorText error = parse_error_body(call.body);
  log::warn("/route: server {} answered {}: {} ({})", call.server, call.status, error.message, error.code);
  // "call NAME" tells whose fault it was; without it every share is suspect.
  const std::string blamed = error.code.starts_with("call ") ? error.code.substr(5) : "";
  std::vector<std::string> instances;
  for (const Share& share : call.shares)
    if (blamed.empty() || share.group == blamed) instances.push_back(share.instance);
  const std::string who = fmt::format("{} on {}", blamed.empty() ? "experts" : blamed, joined(instances));
  switch (call.status) {
    case 400:
      return refuse(call, route_error(400, error.message.empty() ? "The model server refused the token" : error.message, "invalid_request_error",
                                      "token_id", "invalid_request"));
    case 404:
      // The fleet changed since our snapshot: choose again without what is no longer there.
      if (call.attempts < kMaxAttempts) {
        metrics_.count_retry("stale_route");
        call.stale_instances.insert(call.stale_instances.end(), instances.begin(), instances.end());
        return attempt(id);
      }
      return refuse(call, unavailable(fmt::format("No replica any more: {}; try again", who), "no_expert_ready", 1));
    case 503: return refuse(call, unavailable("The model server is not ready; try again", "no_server_ready", 1));
    case 504: return refuse(call, route_error(504, fmt::format("No answer in time: {}", who), "upstream_error", {}, "expert_timeout"));
    default: return refuse(call, route_error(502, fmt::format("Failed: {}", who), "upstream_error", {}, "expert_failed"));
  }
}

void RouteHandler::took_error(std::uint64_t id, const Error& error) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = *found->second;
  call.sent.reset();
  log::warn("/route: server {} failed: {}", call.server, error.message);
  if (error.code == ErrorCode::kDeadlineExceeded)
    return refuse(call, route_error(504, "The model server did not answer in time", "upstream_error", {}, "upstream_timeout"));
  if (error.code == ErrorCode::kUnavailable) {
    directory_.mark_lost(call.server, clock_.now());
    if (call.attempts < kMaxAttempts) {
      metrics_.count_retry(name_of(error.code));
      call.failed_servers.push_back(call.server);
      return attempt(id);
    }
    return refuse(call, unavailable("The model server went away; try again", "upstream_unavailable", 1));
  }
  refuse(call, route_error(502, "The model server's answer broke off", "upstream_error", {}, "upstream_failed"));
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
  append_field(body, "expert", joined(names));
  body += fmt::format(",\"input_token_id\":{},\"status\":\"processed\",\"latency_ms\":{:.3f},", call.token_id, to_ms(took));
  append_field(body, "instance", joined(instances));
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
