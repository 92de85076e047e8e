#include <algorithm>
#include <cmath>

#include "controller/pool_fleet.h"

/// What PoolFleet tells: to the planner, to gateways, to its successor, to another orchestrator.
namespace flexpert::controller {

void PoolFleet::observe(std::size_t pool, PoolObservation& out) const {
  out.pool = pool_config(pool).id;
  for (const auto& [id, member] : members_) {
    if (member.pool != pool) continue;
    PoolInstance instance;
    instance.id = id;
    instance.state = member.leaving() ? InstanceState::kDraining : member.status.state;
    instance.since_unix_ms = member.since_unix_ms;
    instance.in_flight = member.status.running;
    instance.queued = member.status.queued;
    out.instances.push_back(std::move(instance));
  }
  out.startup_s = startup_s(pool);
}

void PoolFleet::sensed(std::size_t pool, const PoolObservation& observation) {
  for (const PoolInstance& instance : observation.instances) {
    PoolMember* member = find(instance.id);
    if (member == nullptr || member->pool != pool) continue;
    member->status.running = instance.in_flight;
    member->status.queued = instance.queued;
    if (member->draining && loop_.now() - member->draining_at >= options_.drain_grace) member->sensed_load = instance.in_flight + instance.queued;
  }
}

std::vector<SensedInstance> PoolFleet::sensed_instances(std::size_t pool) const {
  std::vector<SensedInstance> out;
  for (const auto& [id, member] : members_)
    if (member.pool == pool) out.push_back({id, member.leaving() ? InstanceState::kDraining : member.status.state, member.status.address});
  return out;
}

std::uint32_t PoolFleet::count(std::size_t pool, InstanceState state) const {
  return static_cast<std::uint32_t>(std::count_if(members_.begin(), members_.end(), [&](const auto& item) {
    return item.second.pool == pool && item.second.status.state == state;
  }));
}

std::vector<Reason> PoolFleet::conditions(std::size_t index) const {
  std::vector<Reason> out;
  const Pool& pool = pools_[index];
  if (pool.launch_failures > 0) out.push_back({"launch_failed", pool.launch_error, {{"failures", static_cast<double>(pool.launch_failures)}}});
  for (const auto& [id, member] : members_) {
    if (member.pool != index || member.status.restarts == 0 || member.leaving() || member.status.state == InstanceState::kReady) continue;
    out.push_back({"instance_failing",
                   fmt::format("{} has been started {} times: {}", id, member.status.restarts + 1, member.status.last_error),
                   {{"restarts", static_cast<double>(member.status.restarts)}}});
  }
  return out;
}

std::optional<double> PoolFleet::startup_s(std::size_t pool) const {
  const std::deque<double>& seen = pools_[pool].startups_s;
  if (seen.empty()) return std::nullopt;
  std::vector<double> sorted(seen.begin(), seen.end());
  std::sort(sorted.begin(), sorted.end());
  const auto rank = static_cast<std::size_t>(std::ceil(0.9 * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

void PoolFleet::append_to(FleetSnapshot& snapshot) const {
  for (const auto& [id, member] : members_) snapshot.instances.push_back(member.status);
  for (std::size_t i = 0; i < pools_.size(); ++i)
    if (pool_config(i).role != PoolRole::kGateway) snapshot.pools.push_back({pool_config(i).id.value, model_name_of(config_.entries[i].launch, pool_config(i).id), pools_[i].target,
                              count(i, InstanceState::kReady)});
}

void PoolFleet::save(StateWriter& writer) const {
  writer.tag("pool-fleet/1");
  writer.integer(static_cast<std::int64_t>(pools_.size()));
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    writer.text(pool_config(i).id.value);
    writer.integer(pools_[i].next_number);
    writer.integer(pools_[i].target);
    writer.numbers({pools_[i].startups_s.begin(), pools_[i].startups_s.end()});
  }
  writer.integer(static_cast<std::int64_t>(members_.size()));
  for (const auto& [id, member] : members_) {
    writer.text(id.value);
    writer.text(member.leaving() ? "d" : member.warm ? "w" : "r");
  }
}

void PoolFleet::restore(StateReader& reader) {
  reader.tag("pool-fleet/1");
  const std::int64_t pools = reader.integer();
  for (std::int64_t i = 0; i < pools && reader.ok(); ++i) {
    const std::string name = reader.text();
    Pool read;
    read.next_number = static_cast<std::uint32_t>(reader.integer());
    read.target = static_cast<std::uint32_t>(reader.integer());
    const std::vector<double> startups = reader.numbers();
    for (std::size_t at = startups.size() - std::min(startups.size(), std::size_t{20}); at < startups.size(); ++at)
      if (std::isfinite(startups[at]) && startups[at] >= 0) read.startups_s.push_back(startups[at]);
    for (std::size_t known = 0; known < pools_.size() && reader.ok(); ++known)
      if (pool_config(known).id.value == name) pools_[known] = read;
  }
  const std::int64_t members = reader.integer();
  for (std::int64_t i = 0; i < members && reader.ok(); ++i) {
    InstanceId id{reader.text()};
    const std::string was = reader.text();
    if (reader.ok() && !was.empty()) remembered_[std::move(id)] = was.front();
  }
}

void PoolFleet::take(const codec::WebhookProgress& progress) {
  std::size_t pool = 0;
  while (pool < pools_.size() && (pool_config(pool).id != progress.pool || !is_webhook(pool))) ++pool;
  if (pool == pools_.size()) return;
  std::map<InstanceId, PoolMember> before;
  for (auto it = members_.begin(); it != members_.end();) {
    const auto next = std::next(it);
    if (it->second.pool == pool) before.insert(members_.extract(it));
    it = next;
  }
  for (const codec::WebhookInstance& instance : progress.instances) {
    if (instance.state == InstanceState::kStopped) continue;
    auto address = net::Address::parse(instance.address);
    PoolMember& member = members_[instance.id];
    if (const auto old = before.find(instance.id); old != before.end()) {
      member = std::move(old->second);
    } else {
      member.pool = pool;
      // Of one that is ready when it is first named it is not known how long it took.
      if (instance.state == InstanceState::kStarting) member.launched_at = clock_.now();
      member.since_unix_ms = clock_.unix_ms();
      member.status.id = instance.id;
      member.status.role = role_of(pool_config(pool));
      member.status.model = model_name_of(config_.entries[pool].launch, pool_config(pool).id);
    }
    if (address) member.address = std::move(*address);
    member.status.address = instance.address;
    member.status.last_error = instance.error;
    if (instance.state == InstanceState::kReady && address) {
      if (member.status.state != InstanceState::kReady) ready(member);
    } else if (!member.leaving()) {
      set_state(member, instance.state == InstanceState::kReady ? InstanceState::kStarting : instance.state);
    }
  }
  on_change_();
}

void PoolFleet::tell_webhook(const ScalePlan& plan) {
  if (webhook_ == nullptr) return;
  std::vector<codec::WebhookPool> wanted;
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    if (!is_webhook(i)) continue;
    codec::WebhookPool one;
    one.pool = pool_config(i).id;
    one.model = model_name_of(config_.entries[i].launch, one.pool);
    one.desired = pools_[i].target;
    one.drain_deadline_s = config_.entries[i].launch.drain_deadline_s;
    for (const auto& [id, member] : members_)
      if (member.pool == i && member.leaving()) one.drain.push_back(id);
    for (const PoolPlan& planned : plan.pools)
      if (planned.pool == one.pool) one.reasons = planned.reasons;
    wanted.push_back(std::move(one));
  }
  if (!wanted.empty()) webhook_->want(std::move(wanted));
}

}  // namespace flexpert::controller
