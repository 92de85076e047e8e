#include "placement/layer_packing.h"

#include <algorithm>

#include "fleet/expert_layout.h"

namespace flexpert::placement {

LayerPacking::LayerPacking(const ExpertCluster& cluster, std::uint32_t experts)
    : experts_(experts), bound_of_(cluster), copies_(experts), share_(experts), heaviest_(experts), lightest_(static_cast<std::uint32_t>(cluster.devices.size())) {
  std::uint32_t slot = 0;
  std::uint32_t most = 0;
  for (const ExpertDevice& device : cluster.devices) {
    const std::uint32_t room = std::min(device.slots, experts);
    if (device.alive && room > 0) devices_.push_back({slot, room_, room, 1 / device.speed}), room_ += room, most = std::max(most, room);
    slot += device.slots;
  }
  words_ = static_cast<std::uint32_t>((devices_.size() + 63) / 64);
  expert_at_.resize(room_);
  level_.resize(devices_.size());
  used_.resize(devices_.size());
  holds_.resize(static_cast<std::size_t>(experts) * words_);
  keys_.resize(std::max<std::size_t>(experts, devices_.size()));
  in_shares_.resize(most);
  in_places_.resize(most);
}

void LayerPacking::clear() {
  std::fill(expert_at_.begin(), expert_at_.end(), kEmptySlot);
  std::fill(level_.begin(), level_.end(), 0.0);
  std::fill(used_.begin(), used_.end(), 0U);
  std::fill(holds_.begin(), holds_.end(), 0U);
}

void LayerPacking::take(std::span<const double> loads) {
  loads_.assign(loads.begin(), loads.end());
  bound_ = bound_of_.of(loads);
  clear();
}

/// The next replica goes to the expert with the largest share, while it is not on every device.
void LayerPacking::choose_counts(std::uint32_t replicas) {
  const double largest = *std::max_element(loads_.begin(), loads_.end());
  const double scale = largest > 0 ? 1 / largest : 0;
  const auto key = [&](std::uint32_t e) { return descending_key(static_cast<float>(share_[e] * scale), e); };
  for (std::uint32_t e = 0; e < experts_; ++e) {
    copies_[e] = 1;
    share_[e] = loads_[e];
    keys_[e] = key(e);
  }
  heaviest_.start(std::span(keys_).first(experts_));
  for (std::uint32_t r = experts_; r < replicas; ++r) {
    const std::uint32_t e = index_of(heaviest_.best());
    share_[e] = loads_[e] / ++copies_[e];
    heaviest_.change(e, copies_[e] < devices_.size() ? key(e) : Tournament::kOut);
  }
}

void LayerPacking::put(std::uint32_t device, std::uint32_t place, std::int32_t expert) {
  const std::int32_t old = expert_at_[place];
  const std::uint64_t bit = 1ULL << (device % 64);
  level_[device] += ((expert < 0 ? 0.0 : share_[static_cast<std::size_t>(expert)]) - share_at(place)) * devices_[device].per_speed;
  expert_at_[place] = expert;
  if (old >= 0) {
    const auto* first = expert_at_.data() + devices_[device].first;
    if (std::find(first, first + devices_[device].room, old) == first + devices_[device].room)
      holds_[static_cast<std::size_t>(old) * words_ + device / 64] &= ~bit;
  }
  if (expert >= 0) holds_[static_cast<std::size_t>(expert) * words_ + device / 64] |= bit;
}

/// Experts in descending share, the replicas of each to the devices with the least load that have room.
void LayerPacking::deal() {
  const double scale = bound_ > 0 ? 1 / bound_ : 0;
  const auto key = [&](std::uint32_t d) {
    return used_[d] < devices_[d].room ? ascending_key(static_cast<float>(level_[d] * scale), d) : Tournament::kOut;
  };
  for (std::uint32_t d = 0; d < devices_.size(); ++d) keys_[d] = key(d);
  lightest_.start(std::span(keys_).first(devices_.size()));
  for (std::uint32_t e = 0; e < experts_; ++e) keys_[e] = descending_key(static_cast<float>(share_[e] * scale), e);
  std::sort(keys_.begin(), keys_.begin() + experts_);
  unsettled_.clear();
  for (std::uint32_t i = 0; i < experts_; ++i) {
    const std::uint32_t e = index_of(keys_[i]);
    taken_.clear();
    for (std::uint32_t copy = 0; copy < copies_[e]; ++copy) {
      if (lightest_.best() == Tournament::kOut) {
        unsettled_.push_back(e);
        continue;
      }
      const std::uint32_t d = index_of(lightest_.best());
      put(d, devices_[d].first + used_[d]++, static_cast<std::int32_t>(e));
      lightest_.change(d, Tournament::kOut);
      taken_.push_back(d);
    }
    for (const std::uint32_t d : taken_) lightest_.change(d, key(d));
  }
  for (const std::uint32_t e : unsettled_) settle(e);
}

/// Finds a place for a replica that only devices with its expert had room for.
void LayerPacking::settle(std::uint32_t expert) {
  const auto e = static_cast<std::int32_t>(expert);
  std::uint32_t open = 0;
  while (used_[open] == devices_[open].room) ++open;
  const std::uint32_t place = devices_[open].first + used_[open]++;
  if (!holds(open, e)) return put(open, place, e);
  for (std::uint32_t d = 0; d < devices_.size(); ++d) {
    if (holds(d, e)) continue;
    for (std::uint32_t p = devices_[d].first; p < devices_[d].first + used_[d]; ++p) {
      if (holds(open, expert_at_[p])) continue;
      put(open, place, expert_at_[p]);
      return put(d, p, e);
    }
  }
  // No exchange helps: another expert takes the place, the one with the largest share that the device has not.
  std::uint32_t other = UINT32_MAX;
  for (std::uint32_t f = 0; f < experts_; ++f)
    if (!holds(open, static_cast<std::int32_t>(f)) && (other == UINT32_MAX || share_[f] > share_[other])) other = f;
  --copies_[expert];
  ++copies_[other];
  put(open, place, static_cast<std::int32_t>(other));
  share_[expert] = loads_[expert] / copies_[expert];
  share_[other] = loads_[other] / copies_[other];
  for (std::uint32_t d = 0; d < devices_.size(); ++d) {
    level_[d] = 0;
    for (std::uint32_t p = devices_[d].first; p < devices_[d].first + devices_[d].room; ++p) level_[d] += share_at(p) * devices_[d].per_speed;
  }
}

std::uint32_t LayerPacking::busiest() const {
  return static_cast<std::uint32_t>(std::max_element(level_.begin(), level_.end()) - level_.begin());
}

/// Looks for the exchange of a replica of `a` with one of `b` that leaves the lower maximum, below best.worse.
void LayerPacking::find_exchange(std::uint32_t a, std::uint32_t b, Exchange& best) {
  const Device& from = devices_[a];
  const Device& to = devices_[b];
  std::uint32_t count = 0;
  for (std::uint32_t p = to.first; p < to.first + to.room; ++p) {
    if (holds(a, expert_at_[p])) continue;
    in_shares_[count] = share_at(p);
    in_places_[count++] = p;
  }
  for (std::uint32_t p = from.first; p < from.first + from.room; ++p) {
    if (expert_at_[p] < 0 || holds(b, expert_at_[p])) continue;
    const double share = share_at(p);
    const double a_without = level_[a] - share * from.per_speed;
    const double b_with = level_[b] + share * to.per_speed;
    double least = best.worse;
    for (std::uint32_t i = 0; i < count; ++i)
      least = std::min(least, std::max(a_without + in_shares_[i] * from.per_speed, b_with - in_shares_[i] * to.per_speed));
    if (least >= best.worse) continue;
    std::uint32_t i = 0;
    while (std::max(a_without + in_shares_[i] * from.per_speed, b_with - in_shares_[i] * to.per_speed) > least) ++i;
    best = {least, b, p, in_places_[i]};
  }
}

bool LayerPacking::exchange_with_any(std::uint32_t a, double goal) {
  constexpr double kGain = 1 - 1e-9;
  Exchange best{.worse = level_[a] * kGain};
  const auto lightest = static_cast<std::uint32_t>(std::min_element(level_.begin(), level_.end()) - level_.begin());
  find_exchange(a, lightest, best);
  for (std::uint32_t b = 0; b < devices_.size() && best.worse > goal; ++b)
    if (b != a && b != lightest && level_[b] < best.worse) find_exchange(a, b, best);
  if (best.worse >= level_[a] * kGain) return false;
  const std::int32_t out = expert_at_[best.out];
  const std::int32_t in = expert_at_[best.in];
  put(a, best.out, in);
  put(best.device, best.in, out);
  return true;
}

void LayerPacking::search(const PackingEffort& effort) {
  const double goal = bound_ * (1 + effort.tolerance);
  for (std::uint32_t change = 0; change < effort.changes; ++change) {
    const std::uint32_t a = busiest();
    if (level_[a] <= goal || !exchange_with_any(a, goal)) return;
  }
}

void LayerPacking::write(std::span<std::int32_t> slots) const {
  std::fill(slots.begin(), slots.end(), kEmptySlot);
  for (const Device& device : devices_) std::copy_n(expert_at_.begin() + device.first, device.room, slots.begin() + device.slot);
}

double LayerPacking::plan(std::span<const double> loads, std::uint32_t replicas, std::span<std::int32_t> slots, const PackingEffort& effort) {
  take(loads);
  choose_counts(replicas);
  deal();
  search(effort);
  write(slots);
  return level_[busiest()];
}

double LayerPacking::improve(std::span<const double> loads, std::span<std::int32_t> slots, const PackingEffort& effort) {
  take(loads);
  std::fill(copies_.begin(), copies_.end(), 0U);
  for (const std::int32_t e : slots)
    if (e >= 0) ++copies_[static_cast<std::size_t>(e)];
  for (std::uint32_t e = 0; e < experts_; ++e) share_[e] = copies_[e] > 0 ? loads_[e] / copies_[e] : 0;
  for (std::uint32_t d = 0; d < devices_.size(); ++d)
    for (std::uint32_t i = 0; i < devices_[d].room; ++i) put(d, devices_[d].first + i, slots[devices_[d].slot + i]);
  search(effort);
  write(slots);
  return level_[busiest()];
}

}  // namespace flexpert::placement
