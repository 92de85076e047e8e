#include "gateway/route_handler.h"

#include <algorithm>
#include <optional>

#include "gateway/relay.h"
#include "gateway/route_call.h"
#include "routing/group_cover.h"
#include "routing/least_loaded.h"

namespace flexpert::gateway {

RouteHandler::RouteHandler(net::EventLoop& loop, const Clock& clock, const config::FleetConfig& config, ServerDirectory& directory,
                           GatewayMetrics& metrics, Options options)
    : loop_(loop),
      clock_(clock),
      model_(config.model ? config.model->name : std::string()),
      default_names_(config.default_route_groups),
      directory_(directory),
      metrics_(metrics),
      options_(options),
      self_(std::make_shared<RouteHandler*>(this)),
      // The model server keeps the experts' time limit and says which of them broke it: it gets a little longer itself.
      client_(std::make_unique<http::Client>(loop_, http::ClientOptions{.connect_timeout = Seconds(2),
                                                                        .head_timeout = options.expert_timeout + Milliseconds(500),
                                                                        .idle_timeout = options.expert_timeout + Milliseconds(500)})) {}

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

void RouteHandler::apply(std::shared_ptr<const auth::Policy> policy) {
  policy_ = std::move(policy);
  groups_.clear();
  for (const auth::ExpertGroup& known : policy_->rules().groups)
    if (known.model == model_) groups_.push_back(known);
}

const auth::ExpertGroup* RouteHandler::group(const std::string& name) const {
  const auto found = std::find_if(groups_.begin(), groups_.end(), [&](const auto& known) { return known.name == name; });
  return found == groups_.end() ? nullptr : &*found;
}

double RouteHandler::utilisation(const auth::ExpertGroup& configured) const {
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
  const auth::ExpertGroup* configured = group(name);
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

void RouteHandler::audit(const RouteCaller& who, std::string_view event, const std::vector<std::string>& groups) const {
  if (options_.audit == nullptr) return;
  options_.audit->write({.unix_ms = clock_.unix_ms(),
                         .event = event,
                         .request_id = who.request_id,
                         .tenant = who.caller->grant->tenant.name,
                         .principal = who.caller->identity.id,
                         .peer = who.peer,
                         .action = "POST /route",
                         .object = joined_once(groups),
                         .reason = "expert_forbidden",
                         .policy_revision = who.caller->policy_revision});
}

void RouteHandler::handle(const http::Request& request, RouteCaller who, std::unique_ptr<Answer> answer) {
  auto parsed = parse_route_request(request.body, default_names_);
  if (!parsed) {
    const std::string& message = parsed.error().message;
    return answer->respond(http::openai_error(400, message, "invalid_request_error", message.substr(0, message.find_first_of(":[ ")), "invalid_request"));
  }
  if (policy_ == nullptr) return answer->respond(unavailable("The gateway has no policy yet; try again", "no_policy", 1));
  const auth::GroupDecision decision = policy_->decide(*who.caller->grant, model_, parsed->expert_names);
  if (!decision.unknown.empty()) {
    const auth::ModelRight* right = who.caller->grant->model(model_);
    return answer->respond(http::openai_error(404, fmt::format("expert_names: no such expert: {}; known: {}", fmt::join(decision.unknown, ", "),
                                                        fmt::join(right != nullptr ? right->groups : std::vector<std::string>(), ", ")),
                                       "invalid_request_error", "expert_names", "expert_not_found"));
  }
  if (decision.refused()) {
    audit(who, "denied", decision.dropped);
    return answer->respond(http::openai_error(403, fmt::format("expert_names: {} is not for this caller: that takes a role, or an access token in X-Expert-Access-Token, "
                                                        "that names it",
                                                        fmt::join(decision.dropped, ", ")),
                                       "permission_error", "expert_names", "expert_forbidden"));
  }
  auto call = std::make_unique<Call>();
  const std::uint64_t id = call->id = next_id_++;
  call->arrived = clock_.now();
  call->token_id = parsed->token_id;
  call->mode = parsed->mode;
  call->downgraded = joined_once(decision.dropped);
  if (!decision.dropped.empty()) {
    metrics_.count_downgrade();
    audit(who, "downgraded", decision.dropped);
  }
  call->who = std::move(who);
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
  call->answer->on_disconnect([weak = std::weak_ptr<RouteHandler*>(self_), id] {
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
    // What one call more would cost there.
    const auth::ExpertGroup& known = *group(name);
    loads.push_back({(group_load_.in_flight(name) + utilisation(known) + 1) * known.cost, group_load_.last_used(name)});
    candidates.push_back(std::move(shares));
  }
  const auto best = routing::pick_least_loaded(loads);
  if (!best) return false;
  take(std::move(candidates[*best]));
  return true;
}

}  // namespace flexpert::gateway
