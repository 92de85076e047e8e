#include <algorithm>
#include <limits>

#include "routing/endpoints.h"

namespace flexpert::routing {
namespace {

/// What an instance gets of its share when it has just begun.
constexpr double kColdest = 0.1;
/// Draws after which those that may take the request are counted out.
constexpr int kDraws = 8;
/// Points of the ring to look at before the whole pool is scanned.
constexpr std::size_t kLongestWalk = 1024;

}  // namespace

bool EndpointPool::may_take(const Slot& slot, const PickRequest& request) const {
  const Endpoint& endpoint = *slot.endpoint;
  if (!endpoint.ready || endpoint.draining) return false;
  if (options_.max_in_flight != 0 && endpoint.in_flight >= options_.max_in_flight) return false;
  for (const Endpoint* excluded : request.excluded)
    if (excluded == &endpoint) return false;
  return true;
}

inline double EndpointPool::warmth(const Slot& slot, TimePoint now) const {
  if (!warming_ || now >= slot.warm_at) return 1;
  return std::clamp(1 - to_seconds(slot.warm_at - now) / to_seconds(options_.slow_start), kColdest, 1.0);
}

inline double EndpointPool::score(const Slot& slot, const PickRequest& request, TimePoint now) const {
  const double load = (slot.endpoint->in_flight_tokens + slot.reported + request.tokens) * slot.factor;
  return warming_ ? load / warmth(slot, now) : load;
}

LoadTicket EndpointPool::pick(const PickRequest& request, TimePoint now, Rng& rng) {
  if (load_->stale || now >= look_again_) look(now);
  if (slots_.empty()) return {};
  Slot* slot = nullptr;
  switch (options_.policy) {
    case PickPolicy::kRoundRobin: slot = round_robin(request, now); break;
    case PickPolicy::kRandom: slot = random(request, now, rng); break;
    case PickPolicy::kPowerOfTwo: slot = power_of_two(request, now, rng); break;
    case PickPolicy::kLeastLoad: slot = least_load(request, now); break;
    case PickPolicy::kPrefixHash: slot = by_hash(request.prefix_hash, request, now); break;
    case PickPolicy::kSession: slot = by_hash(request.session_hash, request, now); break;
  }
  if (slot == nullptr) return {};
  slot->endpoint->last_used = ++sequence_;
  return LoadTicket(*slot->endpoint, request.tokens);
}

/// Everybody in turn; a lighter one lets turns pass until its weights add up to one of the heaviest's.
EndpointPool::Slot* EndpointPool::round_robin(const PickRequest& request, TimePoint now) {
  Slot* richest = nullptr;
  double most = -1;
  for (std::size_t step = 0; step < 2 * slots_.size(); ++step) {
    const std::size_t at = turn_;
    turn_ = at + 1 == slots_.size() ? 0 : at + 1;
    Slot& slot = slots_[at];
    if (!may_take(slot, request)) continue;
    double& credit = credits_[at];
    credit += std::max(slot.endpoint->weight, 0.0) / heaviest_ * warmth(slot, now);
    if (credit >= 1 - 1e-9) {
      credit -= 1;
      return &slot;
    }
    if (credit > most) {
      most = credit;
      richest = &slot;
    }
  }
  // Only light ones are left: the one whose turn is nearest.
  if (richest != nullptr) credits_[static_cast<std::size_t>(richest - slots_.data())] = 0;
  return richest;
}

/// By weight. A draw that may not be used is drawn again, which keeps the proportions of the others.
EndpointPool::Slot* EndpointPool::random(const PickRequest& request, TimePoint now, Rng& rng) {
  for (int draw = 0; draw < kDraws; ++draw) {
    const double x = rng.uniform() * weights_up_to_.back();
    const auto at = std::upper_bound(weights_up_to_.begin(), weights_up_to_.end(), x);
    Slot& slot = slots_[std::min(static_cast<std::size_t>(at - weights_up_to_.begin()), slots_.size() - 1)];
    if (may_take(slot, request) && (!warming_ || rng.uniform() < warmth(slot, now))) return &slot;
  }
  double total = 0;
  const auto weight_now = [&](std::size_t i) {
    return (weights_up_to_[i] - (i == 0 ? 0 : weights_up_to_[i - 1])) * warmth(slots_[i], now);
  };
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if (may_take(slots_[i], request)) total += weight_now(i);
  double x = rng.uniform() * total;
  Slot* last = nullptr;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!may_take(slots_[i], request)) continue;
    last = &slots_[i];
    x -= weight_now(i);
    if (x < 0) break;
  }
  return last;
}

/// The better of two drawn at random (Mitzenmacher 2001).
EndpointPool::Slot* EndpointPool::power_of_two(const PickRequest& request, TimePoint now, Rng& rng) {
  const auto better = [&](Slot& a, Slot& b) { return score(b, request, now) < score(a, request, now) ? &b : &a; };
  const std::size_t count = slots_.size();
  if (count > 1) {
    for (int draw = 0; draw < kDraws; ++draw) {
      const std::uint64_t bits = rng.next();
      const std::size_t i = static_cast<std::size_t>((bits >> 32) * count >> 32);
      std::size_t j = static_cast<std::size_t>((bits & 0xffffffff) * (count - 1) >> 32);
      j += j >= i ? 1 : 0;
      if (may_take(slots_[i], request) && may_take(slots_[j], request)) return better(slots_[i], slots_[j]);
    }
  }
  eligible_.clear();
  for (std::uint32_t i = 0; i < count; ++i)
    if (may_take(slots_[i], request)) eligible_.push_back(i);
  if (eligible_.empty()) return nullptr;
  const std::size_t i = rng.below(eligible_.size());
  if (eligible_.size() == 1) return &slots_[eligible_[0]];
  std::size_t j = rng.below(eligible_.size() - 1);
  j += j >= i ? 1 : 0;
  return better(slots_[eligible_[i]], slots_[eligible_[j]]);
}

/// The smallest load; among equals the least recently used, so that equals take turns.
EndpointPool::Slot* EndpointPool::least_load(const PickRequest& request, TimePoint now) {
  Slot* best = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (Slot& slot : slots_) {
    // Other pools use our endpoints too: all count on one scale.
    sequence_ = std::max(sequence_, slot.endpoint->last_used);
    const double load = score(slot, request, now);
    if (load > least || (load == least && best != nullptr && slot.endpoint->last_used >= best->endpoint->last_used)) continue;
    if (!may_take(slot, request)) continue;
    best = &slot;
    least = load;
  }
  return best;
}

/// The owner of the key, or who comes next on the ring and has less than `prefix_load_factor` times its share of the load
/// (Mirrokni, Thorup, Zadimoghaddam 2018). One such always exists where nobody is excluded, cold or at its limit.
EndpointPool::Slot* EndpointPool::by_hash(std::uint64_t hash, const PickRequest& request, TimePoint now) {
  if (hash == 0) return least_load(request, now);
  const double allowed = options_.prefix_load_factor * (load_->tokens + reported_ + request.tokens);
  std::size_t at = ring_.find(mix(hash));
  for (std::size_t steps = std::min(ring_.size(), kLongestWalk); steps > 0; --steps, at = ring_.next(at)) {
    Slot& slot = slots_[ring_.member(at)];
    const double limit = allowed * slot.share * warmth(slot, now);
    if (slot.endpoint->in_flight_tokens + slot.reported < limit && may_take(slot, request)) return &slot;
  }
  return least_load(request, now);
}

}  // namespace flexpert::routing
