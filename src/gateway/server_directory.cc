#include "gateway/server_directory.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace flexpert::gateway {
namespace {

/// Weight of the newest attempt in the mean of their tokens.
constexpr double kNewest = 1.0 / 64;

}  // namespace

bool ModelServer::serves(std::string_view model) const { return std::find(models.begin(), models.end(), model) != models.end(); }

ServerDirectory::~ServerDirectory() = default;

void ServerDirectory::set_routing(const config::RoutingConfig& routing, std::vector<config::ModelRoutingConfig> models) {
  routing_ = routing;
  model_routing_ = std::move(models);
  for (auto& [name, pool] : pools_) pool->set_routing(routing_of(name));
  auto options = pick_options(routing_);
  options.policy = routing::PickPolicy::kLeastLoad;  // calls of the experts have no prefix and no session
  fleet_.set_options(options);
  for (auto& [id, server] : servers_) update_endpoint(server);
}

const config::RoutingConfig& ServerDirectory::routing_of(std::string_view model) const {
  for (const auto& special : model_routing_)
    if (special.model == model) return special.routing;
  return routing_;
}

void ServerDirectory::expect_fleet(const std::optional<std::string>& model) {
  fleet_pending_ = true;
  expected_model_ = model;
}

ModelServer& ServerDirectory::server(std::string_view id) {
  const auto [found, is_new] = servers_.try_emplace(std::string(id));
  ModelServer& server = found->second;
  if (!is_new) return server;
  server.id = id;
  server.endpoint = routing::Endpoint::make(id);
  const auto free = std::find(by_tag_.begin(), by_tag_.end(), nullptr);
  server.endpoint->tag = static_cast<std::uint32_t>(free - by_tag_.begin());
  if (free == by_tag_.end()) by_tag_.push_back(&server);
  else *free = &server;
  return server;
}

void ServerDirectory::move_to(ModelServer& server, net::Address address) {
  if (server.address == address && server.upstream) return;
  server.address = std::move(address);
  if (connect_) server.upstream = connect_(server);
}

void ServerDirectory::apply_spec(ModelServer& server, ServerSpec spec) {
  const bool other_way = server.tls != spec.tls || server.ca_file != spec.ca_file;
  if (other_way) server.upstream.reset();
  server.host = spec.host.empty() ? spec.address.to_string() : std::move(spec.host);
  server.models = std::move(spec.models);
  server.own = spec.own;
  server.tls = spec.tls;
  server.ca_file = std::move(spec.ca_file);
  server.authorization = std::move(spec.authorization);
  server.capacity_tokens = spec.capacity_tokens;
  server.endpoint->weight = spec.weight;
  server.endpoint->cost = spec.cost;
  move_to(server, std::move(spec.address));
  join_pools(server);
}

void ServerDirectory::add_configured(std::string id, net::Address address, std::vector<std::string> models) {
  add_configured({.id = std::move(id), .address = std::move(address), .models = std::move(models)});
}

void ServerDirectory::add_configured(ServerSpec spec) {
  ModelServer& added = server(spec.id);
  added.source = ServerSource::kConfigured;
  added.starting = true;
  apply_spec(added, std::move(spec));
}

void ServerDirectory::renew(std::string_view id, std::string authorization, bool reconnect) {
  const auto found = servers_.find(id);
  if (found == servers_.end()) return;
  found->second.authorization = std::move(authorization);
  if (!reconnect || !connect_) return;
  if (auto made = connect_(found->second)) found->second.upstream = std::move(made);
}

bool ServerDirectory::add_registered(ServerSpec spec) {
  const auto existing = servers_.find(spec.id);
  if (existing != servers_.end() && existing->second.source != ServerSource::kRegistered) return false;
  ModelServer& added = server(spec.id);
  added.source = ServerSource::kRegistered;
  added.draining = false;
  apply_spec(added, std::move(spec));
  return true;
}

void ServerDirectory::remove_registered(std::string_view id) {
  const auto found = servers_.find(id);
  if (found == servers_.end() || found->second.source != ServerSource::kRegistered) return;
  remove(id);
  forget_empty_pools();
}

void ServerDirectory::remove(std::string_view id) {
  const auto found = servers_.find(id);
  ModelServer& server = found->second;
  server.models.clear();
  join_pools(server);
  fleet_.remove(id);
  by_tag_[server.endpoint->tag] = nullptr;
  servers_.erase(found);
}

/// Brings the pools in line with `server.models`.
void ServerDirectory::join_pools(ModelServer& server) {
  std::vector<ModelPool*> now;
  for (const std::string& model : server.models) {
    auto& pool = pools_[model];
    if (!pool) pool = std::make_unique<ModelPool>(model, routing_of(model));
    pool->all().add(server.endpoint);
    if (server.own) pool->own().add(server.endpoint);
    else pool->own().remove(server.id);
    now.push_back(pool.get());
  }
  for (ModelPool* pool : server.pools) {
    if (std::find(now.begin(), now.end(), pool) != now.end()) continue;
    pool->all().remove(server.id);
    pool->own().remove(server.id);
  }
  server.pools = std::move(now);
  update_endpoint(server);
}

void ServerDirectory::forget_empty_pools() {
  last_found_ = nullptr;
  std::erase_if(pools_, [](const auto& item) { return item.second->all().endpoints().empty(); });
}

bool ServerDirectory::hold(std::string_view id, bool held) {
  const auto found = servers_.find(id);
  if (found == servers_.end()) return false;
  found->second.held = held;
  update_endpoint(found->second);
  tell();
  return true;
}

/// Tells the pools what is known of the server now.
void ServerDirectory::update_endpoint(ModelServer& server) {
  routing::Endpoint& endpoint = *server.endpoint;
  const bool ready = server.ready && !server.avoided;
  if (ready && !endpoint.ready) {
    endpoint.ready_since = TimePoint::max();
    new_ones_ = true;
  }
  endpoint.ready = ready;
  endpoint.draining = server.draining || server.held;
  endpoint.capacity_tokens = server.capacity_tokens;
  if (endpoint.capacity_tokens <= 0)
    endpoint.capacity_tokens = static_cast<double>((server.pools.empty() ? routing_ : server.pools.front()->routing()).capacity_tokens);
  // Its own account has our attempts in it, those of its last report or of now.
  const double others = static_cast<double>(server.queued) + server.running - std::max(server.in_flight_then, endpoint.in_flight);
  endpoint.reported_tokens = std::max({0.0, others}) * std::max(1.0, mean_tokens_);
  endpoint.changed();
}

void ServerDirectory::set_health(const std::string& id, bool ready, std::optional<std::vector<std::string>> models) {
  const auto found = servers_.find(id);
  if (found == servers_.end() || found->second.of_fleet) return;
  ModelServer& server = found->second;
  server.ready = ready;
  server.starting = false;
  if (ready) {
    server.lost_at.reset();
    server.avoided = false;
  }
  if (models) server.models = std::move(*models);
  join_pools(server);
  forget_empty_pools();
  tell();
}

void ServerDirectory::apply(const FleetSnapshot& snapshot) {
  fleet_pending_ = false;
  scaled_models_.clear();
  for (const PoolBrief& pool : snapshot.pools)
    if (!pool.model.empty()) scaled_models_.push_back(pool.model);
  std::set<std::string> named;
  for (const InstanceStatus& instance : snapshot.instances) {
    if (instance.role != InstanceRole::kModelServer) continue;
    auto address = net::Address::parse(instance.address);
    const auto existing = servers_.find(instance.id.value);
    if (!address || (existing != servers_.end() && !existing->second.of_fleet)) continue;
    named.insert(instance.id.value);
    ModelServer& seen = server(instance.id.value);
    const bool ready = instance.state == InstanceState::kReady;
    // Seen not ready, or as another process: what a request once found out about it is over.
    if (!ready || seen.pid != instance.pid || seen.restarts != instance.restarts) {
      if (ready) seen.lost_at.reset();
      seen.avoided = seen.avoided && !ready;
      seen.pid = ready ? instance.pid : -1;
    }
    seen.source = ServerSource::kFleet;
    seen.of_fleet = seen.own = true;
    seen.models = {instance.model.empty() ? snapshot.model : instance.model};
    seen.ready = ready;
    seen.starting = instance.state == InstanceState::kStarting || instance.state == InstanceState::kFailed;
    seen.draining = instance.state == InstanceState::kDraining;
    seen.queued = instance.queued;
    seen.running = instance.running;
    seen.restarts = instance.restarts;
    seen.host = address->is_unix ? "localhost" : instance.address;
    move_to(seen, std::move(*address));
    fleet_.add(seen.endpoint);
    join_pools(seen);
    seen.in_flight_then = seen.endpoint->in_flight;
  }
  std::vector<std::string> gone;
  for (const auto& [id, known] : servers_)
    if (known.of_fleet && !named.contains(id)) gone.push_back(id);
  for (const std::string& id : gone) remove(id);
  forget_empty_pools();
  tell();
}

void ServerDirectory::mark_lost(const std::string& id, TimePoint now) {
  const auto found = servers_.find(id);
  if (found == servers_.end()) return;
  found->second.lost_at = now;
  found->second.avoided = true;
  next_back_ = std::min(next_back_, now + kLostFor);
  update_endpoint(found->second);
}

/// Does what time brings: lost servers may be tried again, and servers that came are new from now on.
void ServerDirectory::catch_up(TimePoint now) {
  new_ones_ = false;
  next_back_ = TimePoint::max();
  for (auto& [id, server] : servers_) {
    if (server.avoided && server.lost_at) {
      if (now - *server.lost_at >= kLostFor) {
        server.avoided = false;
        update_endpoint(server);
      } else {
        next_back_ = std::min(next_back_, *server.lost_at + kLostFor);
      }
    }
    if (server.endpoint->ready_since != TimePoint::max()) continue;
    server.endpoint->ready_since = now;
    server.endpoint->changed();
  }
  new_ones_ = false;
}

ModelPool* ServerDirectory::find(std::string_view model) const {
  // A request asks several times for the same one.
  if (last_found_ != nullptr && last_found_->model() == model) return last_found_;
  const auto found = pools_.find(model);
  if (found == pools_.end()) return nullptr;
  return last_found_ = found->second.get();
}

ServerPick ServerDirectory::made(routing::LoadTicket ticket) const {
  const routing::Endpoint* endpoint = ticket.endpoint();
  return {std::move(ticket), endpoint == nullptr ? nullptr : by_tag_[endpoint->tag]};
}

ServerPick ServerDirectory::pick(ModelPool& pool, const routing::PickRequest& request, bool own_only, TimePoint now, Rng& rng) {
  if (new_ones_ || now >= next_back_) catch_up(now);
  mean_tokens_ += (request.tokens - mean_tokens_) * kNewest;
  return made((own_only ? pool.own() : pool.all()).pick(request, now, rng));
}

void ServerDirectory::report(ModelPool& pool, routing::Endpoint& endpoint, bool failed, TimePoint now) {
  const std::uint32_t ejections = endpoint.ejections;
  pool.all().report(endpoint, failed, now);
  if (endpoint.ejections > ejections)
    log::warn("server {} failed {} requests in a row and gets none for {:.0f} s", endpoint.id, pool.all().options().eject_after_failures,
              to_seconds(endpoint.ejected_for));
}

ServerPick ServerDirectory::pick_of_fleet(const routing::PickRequest& request, TimePoint now) {
  if (new_ones_ || now >= next_back_) catch_up(now);
  Rng rng(0);  // the least loaded is not a matter of luck
  return made(fleet_.pick(request, now, rng));
}

bool ServerDirectory::usable(const ModelServer& server, TimePoint now) {
  return server.ready && !server.draining && (!server.lost_at || now - *server.lost_at >= kLostFor);
}

bool ServerDirectory::scaled(std::string_view model) const {
  return std::find(scaled_models_.begin(), scaled_models_.end(), model) != scaled_models_.end();
}

bool ServerDirectory::knows(std::string_view model) const {
  return fleet_pending_ || model == expected_model_ || find(model) != nullptr || scaled(model);
}

bool ServerDirectory::recovering(std::string_view model, TimePoint now, Duration within) const {
  if (fleet_pending_) return true;
  return std::any_of(servers_.begin(), servers_.end(), [&](const auto& item) {
    const ModelServer& server = item.second;
    // A configured server that was never asked yet may turn out to have any model.
    const bool may_serve = server.serves(model) || (!server.of_fleet && server.models.empty());
    return may_serve && (server.starting || (server.lost_at && now - *server.lost_at < within));
  });
}

bool ServerDirectory::any_ready(TimePoint now) const {
  return std::any_of(servers_.begin(), servers_.end(), [&](const auto& item) { return usable(item.second, now); });
}

std::vector<std::string> ServerDirectory::models() const {
  std::set<std::string> names(scaled_models_.begin(), scaled_models_.end());
  for (const auto& [id, server] : servers_)
    if (server.ready) names.insert(server.models.begin(), server.models.end());
  return {names.begin(), names.end()};
}

ServerCapacity ServerDirectory::capacity(TimePoint now) const {
  ServerCapacity sum;
  double tokens = 0;
  double waiting = 0;
  double running = 0;
  bool limited = true;
  std::uint64_t requests = 0;
  for (const auto& [id, server] : servers_) {
    if (!usable(server, now)) continue;
    ++sum.ready;
    const routing::Endpoint& endpoint = *server.endpoint;
    const auto& routing = server.pools.empty() ? routing_ : server.pools.front()->routing();
    limited = limited && routing.breaker_max_in_flight != 0;
    requests += routing.breaker_max_in_flight;
    if (endpoint.capacity_tokens > 0) {
      sum.tokens += endpoint.capacity_tokens;
      tokens += endpoint.in_flight_tokens + endpoint.reported_tokens;
    } else {
      waiting += server.queued;
      running += std::max<double>({1, static_cast<double>(server.running), static_cast<double>(endpoint.in_flight) - server.queued});
    }
  }
  if (limited) sum.requests = static_cast<std::uint32_t>(std::min<std::uint64_t>(requests, UINT32_MAX));
  sum.saturation = std::max(sum.tokens > 0 ? tokens / sum.tokens : 0, running > 0 ? waiting / running : 0);
  return sum;
}

std::uint64_t ServerDirectory::in_flight() const {
  std::uint64_t sum = 0;
  for (const auto& [id, server] : servers_) sum += server.endpoint->in_flight;
  return sum;
}

}  // namespace flexpert::gateway
