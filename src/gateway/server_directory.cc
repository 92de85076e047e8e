#include "gateway/server_directory.h"

#include <algorithm>
#include <set>

#include "routing/least_loaded.h"

namespace flexpert::gateway {

bool ModelServer::serves(const std::string& model) const { return std::find(models.begin(), models.end(), model) != models.end(); }

void ServerDirectory::expect_fleet(const std::optional<std::string>& model) {
  fleet_pending_ = true;
  expected_model_ = model;
}

void ServerDirectory::add_configured(std::string id, net::Address address, std::vector<std::string> models) {
  ModelServer server;
  server.id = id;
  server.address = std::move(address);
  server.models = std::move(models);
  server.starting = true;
  servers_.insert_or_assign(std::move(id), std::move(server));
}

void ServerDirectory::set_health(const std::string& id, bool ready, std::optional<std::vector<std::string>> models) {
  const auto found = servers_.find(id);
  if (found == servers_.end() || found->second.of_fleet) return;
  ModelServer& server = found->second;
  server.ready = ready;
  server.starting = false;
  if (ready) server.lost_at.reset();
  if (models) server.models = std::move(*models);
  if (listener_) listener_();
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
    ModelServer& server = servers_[instance.id.value];
    const bool ready = instance.state == InstanceState::kReady;
    // Seen not ready, or as another process: what a request once found out about it is over.
    if (!ready || server.pid != instance.pid || server.restarts != instance.restarts) {
      if (ready) server.lost_at.reset();
      server.pid = ready ? instance.pid : -1;
    }
    server.id = instance.id.value;
    server.address = std::move(*address);
    server.models = {instance.model.empty() ? snapshot.model : instance.model};
    server.of_fleet = true;
    server.ready = ready;
    server.starting = instance.state == InstanceState::kStarting || instance.state == InstanceState::kFailed;
    server.queued = instance.queued;
    server.restarts = instance.restarts;
  }
  std::erase_if(servers_, [&](const auto& item) { return item.second.of_fleet && !named.contains(item.first); });
  load_.forget_unless([&](const std::string& id) { return servers_.contains(id); });
  if (listener_) listener_();
}

void ServerDirectory::mark_lost(const std::string& id, TimePoint now) {
  if (const auto server = servers_.find(id); server != servers_.end()) server->second.lost_at = now;
}

bool ServerDirectory::usable(const ModelServer& server, TimePoint now) {
  return server.ready && (!server.lost_at || now - *server.lost_at >= kLostFor);
}

template <class Wanted>
const ModelServer* ServerDirectory::pick_where(const std::vector<std::string>& excluded, TimePoint now, Wanted wanted) const {
  std::vector<const ModelServer*> candidates;
  std::vector<routing::LoadView> views;
  for (const auto& [id, server] : servers_) {
    if (!usable(server, now) || !wanted(server) || std::find(excluded.begin(), excluded.end(), id) != excluded.end()) continue;
    candidates.push_back(&server);
    views.push_back({static_cast<double>(load_.in_flight(id)) + server.queued, load_.last_used(id)});
  }
  const auto best = routing::pick_least_loaded(views);
  return best ? candidates[*best] : nullptr;
}

const ModelServer* ServerDirectory::pick(const std::string& model, const std::vector<std::string>& excluded, TimePoint now) const {
  return pick_where(excluded, now, [&](const ModelServer& server) { return server.serves(model); });
}

const ModelServer* ServerDirectory::pick_of_fleet(const std::vector<std::string>& excluded, TimePoint now) const {
  return pick_where(excluded, now, [](const ModelServer& server) { return server.of_fleet; });
}

bool ServerDirectory::scaled(const std::string& model) const {
  return std::find(scaled_models_.begin(), scaled_models_.end(), model) != scaled_models_.end();
}

bool ServerDirectory::knows(const std::string& model) const {
  if (fleet_pending_ || model == expected_model_ || scaled(model)) return true;
  return std::any_of(servers_.begin(), servers_.end(), [&](const auto& item) { return item.second.serves(model); });
}

bool ServerDirectory::recovering(const std::string& model, TimePoint now, Duration within) const {
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

}  // namespace flexpert::gateway
