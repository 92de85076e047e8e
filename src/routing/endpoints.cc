#include "routing/endpoints.h"

#include <algorithm>
#include <cmath>

#include <xxhash.h>

namespace flexpert::routing {
namespace {

constexpr double kLeastWeight = 1e-3;

double weight_of(const Endpoint& endpoint) { return std::max(endpoint.weight, kLeastWeight); }

/// How many of `ready` may be ejected at once.
std::size_t ejectable(std::size_t ready, double share) {
  if (ready == 0) return 0;
  return std::min(ready - 1, static_cast<std::size_t>(std::floor(std::clamp(share, 0.0, 1.0) * static_cast<double>(ready) + 1e-9)));
}

bool takes_new(const Endpoint& endpoint) { return endpoint.ready && !endpoint.draining; }

}  // namespace

Endpoint::Endpoint(std::string_view name) : id(name), id_hash_(XXH3_64bits(name.data(), name.size())) {}

std::shared_ptr<Endpoint> Endpoint::make(std::string_view id) { return {new Endpoint(id), &Endpoint::let_go}; }

void Endpoint::let_go(Endpoint* endpoint) {
  if (endpoint->in_flight == 0) delete endpoint;
  else endpoint->orphaned_ = true;
}

void Endpoint::changed() {
  for (PoolLoad* pool : pools_) pool->stale = true;
}

LoadTicket::LoadTicket(Endpoint& endpoint, double tokens) : endpoint_(&endpoint), tokens_(tokens) {
  ++endpoint.in_flight;
  endpoint.in_flight_tokens += tokens;
  for (PoolLoad* pool : endpoint.counted_by_) {
    ++pool->in_flight;
    pool->tokens += tokens;
  }
}

void LoadTicket::give_back() {
  Endpoint& endpoint = *std::exchange(endpoint_, nullptr);
  // Nothing in flight is no tokens, whatever rounding has left.
  endpoint.in_flight_tokens = --endpoint.in_flight == 0 ? 0 : endpoint.in_flight_tokens - tokens_;
  for (PoolLoad* pool : endpoint.counted_by_) pool->tokens = --pool->in_flight == 0 ? 0 : pool->tokens - tokens_;
  if (endpoint.in_flight == 0 && endpoint.orphaned_) delete &endpoint;
}

EndpointPool::~EndpointPool() {
  stop_counting();
  for (const auto& endpoint : endpoints_) std::erase(endpoint->pools_, load_.get());
}

std::shared_ptr<Endpoint> EndpointPool::upsert(std::string_view id) {
  for (const auto& endpoint : endpoints_)
    if (endpoint->id == id) return endpoint;
  auto endpoint = Endpoint::make(id);
  add(endpoint);
  return endpoint;
}

void EndpointPool::add(std::shared_ptr<Endpoint> endpoint) {
  if (std::find(endpoints_.begin(), endpoints_.end(), endpoint) != endpoints_.end()) return;
  endpoint->pools_.push_back(load_.get());
  endpoints_.push_back(std::move(endpoint));
  changed();
}

void EndpointPool::remove(std::string_view id) {
  const auto found = std::find_if(endpoints_.begin(), endpoints_.end(), [&](const auto& endpoint) { return endpoint->id == id; });
  if (found == endpoints_.end()) return;
  // The slots point to endpoints: none of them may outlast its pool's hold on it.
  stop_counting();
  slots_.clear();
  std::erase((*found)->pools_, load_.get());
  endpoints_.erase(found);
  changed();
}

void EndpointPool::set_options(PickOptions options) {
  options_ = options;
  changed();
}

void EndpointPool::stop_counting() {
  for (const Slot& slot : slots_) std::erase(slot.endpoint->counted_by_, load_.get());
  load_->tokens = 0;
  load_->in_flight = 0;
}

void EndpointPool::count_loads() {
  for (const Slot& slot : slots_) {
    slot.endpoint->counted_by_.push_back(load_.get());
    load_->tokens += slot.endpoint->in_flight_tokens;
    load_->in_flight += slot.endpoint->in_flight;
  }
}

/// Finds out who may be picked now, and makes of it what the policies read.
void EndpointPool::look(TimePoint now) {
  load_->stale = false;
  stop_counting();
  slots_.clear();
  look_again_ = TimePoint::max();
  std::vector<Endpoint*> ejected;
  std::size_t ready = 0;
  double known = 0;
  double weight_of_known = 0;
  for (const auto& endpoint : endpoints_) {
    if (!takes_new(*endpoint)) continue;
    ++ready;
    if (endpoint->capacity_tokens > 0) {
      known += endpoint->capacity_tokens;
      weight_of_known += weight_of(*endpoint);
    }
    if (endpoint->ejected_until > now) ejected.push_back(endpoint.get());
    else slots_.push_back({.endpoint = endpoint.get()});
  }
  // Other pools may have ejected more of ours than we can do without: those that have served most of their time come back.
  std::sort(ejected.begin(), ejected.end(), [](const Endpoint* a, const Endpoint* b) { return a->ejected_until > b->ejected_until; });
  const std::size_t out = std::min(ejected.size(), ejectable(ready, options_.max_ejected_share));
  for (std::size_t i = 0; i < ejected.size(); ++i) {
    if (i < out) look_again_ = std::min(look_again_, ejected[i]->ejected_until);
    else slots_.push_back({.endpoint = ejected[i]});
  }

  const double capacity_per_weight = known > 0 ? known / weight_of_known : 1;
  weights_up_to_.clear();
  double capacity = 0;
  double weight = 0;
  heaviest_ = kLeastWeight;
  reported_ = 0;
  warming_ = false;
  for (Slot& slot : slots_) {
    const Endpoint& endpoint = *slot.endpoint;
    slot.share = endpoint.capacity_tokens > 0 ? endpoint.capacity_tokens : weight_of(endpoint) * capacity_per_weight;
    slot.factor = endpoint.cost / slot.share;
    slot.reported = endpoint.reported_tokens;
    slot.warm_at = endpoint.ready_since + options_.slow_start;
    if (options_.slow_start > Duration::zero() && slot.warm_at > now) warming_ = true;
    capacity += slot.share;
    weight += weight_of(endpoint);
    weights_up_to_.push_back(weight);
    heaviest_ = std::max(heaviest_, weight_of(endpoint));
    reported_ += slot.reported;
  }
  for (Slot& slot : slots_) slot.share /= capacity;
  credits_.assign(slots_.size(), 0);
  if (turn_ >= slots_.size()) turn_ = 0;
  if (!hashes()) return;
  count_loads();
  std::vector<HashRing::Member> members;
  for (const Slot& slot : slots_) members.push_back({slot.endpoint->id_hash(), weight_of(*slot.endpoint)});
  ring_.assign(members);
}

void EndpointPool::report(Endpoint& endpoint, bool failed, TimePoint now) {
  if (!failed) {
    endpoint.failures_in_a_row = 0;
    if (endpoint.ejections > 0 && now - endpoint.ejected_until >= endpoint.ejected_for) endpoint.ejections = 0;
    return;
  }
  if (options_.eject_after_failures == 0 || endpoint.ejected_until > now) return;
  if (++endpoint.failures_in_a_row < options_.eject_after_failures) return;
  std::size_t ready = 0;
  std::size_t out = 0;
  for (const auto& other : endpoints_) {
    if (!takes_new(*other)) continue;
    ++ready;
    if (other->ejected_until > now) ++out;
  }
  if (out + 1 > ejectable(ready, options_.max_ejected_share)) return;
  endpoint.ejected_for = options_.eject;
  for (std::uint32_t i = 0; i < endpoint.ejections && endpoint.ejected_for < options_.eject_max; ++i) endpoint.ejected_for *= 2;
  endpoint.ejected_for = std::min(endpoint.ejected_for, std::max(options_.eject, options_.eject_max));
  endpoint.ejected_until = now + endpoint.ejected_for;
  ++endpoint.ejections;
  endpoint.failures_in_a_row = 0;
  endpoint.changed();
}

bool EndpointPool::any_usable(TimePoint now) {
  if (load_->stale || now >= look_again_) look(now);
  return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& slot) { return may_take(slot, {}); });
}

}  // namespace flexpert::routing
