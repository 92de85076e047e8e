#include "placement/layer_packing.h"

#include <algorithm>
#include <limits>

#include "fleet/expert_layout.h"

namespace flexpert::placement {

LayerPacking::LayerPacking(const ExpertCluster& cluster, std::uint32_t experts)
    : experts_(experts), bound_of_(cluster), heaviest_(experts), lightest_(static_cast<std::uint32_t>(cluster.devices.size())) {
  std::uint32_t slot = 0;
  std::uint32_t most = 0;
  for (const ExpertDevice& device : cluster.devices) {
    const std::uint32_t room = std::min(device.slots, experts);
    if (device.alive && room > 0) devices_.push_back({slot, room_, room, 1 / device.speed}), room_ += room, most = std::max(most, room);
    slot += device.slots;
  }
  words_ = static_cast<std::uint32_t>((devices_.size() + 63) / 64);
  now_.copies.resize(experts);
  now_.share.resize(experts);
  now_.expert_at.resize(room_);
  now_.level.resize(devices_.size());
  now_.holds.resize(static_cast<std::size_t>(experts) * words_);
  used_.resize(devices_.size());
  keys_.resize(std::max<std::size_t>(experts, devices_.size()));
  in_shares_.resize(most);
  in_places_.resize(most);
}

void LayerPacking::take(std::span<const double> loads) {
  loads_.assign(loads.begin(), loads.end());
  bound_ = bound_of_.of(loads);
  compared_ = 0;
  std::fill(now_.expert_at.begin(), now_.expert_at.end(), kEmptySlot);
  std::fill(now_.level.begin(), now_.level.end(), 0.0);
  std::fill(now_.holds.begin(), now_.holds.end(), 0U);
  std::fill(used_.begin(), used_.end(), 0U);
}

/// The next replica goes to the expert with the largest share, while it is not on every device.
void LayerPacking::choose_counts(std::uint32_t replicas) {
  const double largest = *std::max_element(loads_.begin(), loads_.end());
  const double scale = largest > 0 ? 1 / largest : 0;
  const auto key = [&](std::uint32_t e) {
    return now_.copies[e] < devices_.size() ? descending_key(static_cast<float>(now_.share[e] * scale), e) : Tournament::kOut;
  };
  for (std::uint32_t e = 0; e < experts_; ++e) {
    now_.copies[e] = 1;
    now_.share[e] = loads_[e];
    keys_[e] = key(e);
  }
  heaviest_.start(std::span(keys_).first(experts_));
  for (std::uint32_t r = experts_; r < replicas; ++r) {
    const std::uint32_t e = index_of(heaviest_.best());
    now_.share[e] = loads_[e] / ++now_.copies[e];
    heaviest_.change(e, key(e));
  }
}

/// Experts in descending share, the replicas of each to the devices with the least load that have room.
void LayerPacking::deal() {
  const double scale = bound_ > 0 ? 1 / bound_ : 0;
  const auto key = [&](std::uint32_t d) {
    return used_[d] < devices_[d].room ? ascending_key(static_cast<float>(now_.level[d] * scale), d) : Tournament::kOut;
  };
  for (std::uint32_t d = 0; d < devices_.size(); ++d) keys_[d] = key(d);
  lightest_.start(std::span(keys_).first(devices_.size()));
  for (std::uint32_t e = 0; e < experts_; ++e) keys_[e] = descending_key(static_cast<float>(now_.share[e] * scale), e);
  std::sort(keys_.begin(), keys_.begin() + experts_);
  unsettled_.clear();
  for (std::uint32_t i = 0; i < experts_; ++i) {
    const std::uint32_t e = index_of(keys_[i]);
    taken_.clear();
    for (std::uint32_t copy = 0; copy < now_.copies[e]; ++copy) {
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
  std::uint32_t open = 0;
  while (used_[open] == devices_[open].room) ++open;
  const std::uint32_t place = devices_[open].first + used_[open]++;
  const bool twice = holds(open, static_cast<std::int32_t>(expert));
  put(open, place, static_cast<std::int32_t>(expert));
  if (twice) separate(open, place);
}

void LayerPacking::separate() {
  for (std::uint32_t d = 0; d < devices_.size(); ++d)
    for (std::uint32_t p = devices_[d].first; p < devices_[d].first + devices_[d].room; ++p) {
      const auto first = now_.expert_at.begin() + devices_[d].first;
      const auto place = now_.expert_at.begin() + p;
      if (*place >= 0 && std::find(first, place, *place) != place) separate(d, p);
    }
}

/// Takes a second replica of an expert off its device: by the exchange that leaves the lowest maximum, else another expert
/// takes its place.
void LayerPacking::separate(std::uint32_t device, std::uint32_t place) {
  const std::int32_t expert = now_.expert_at[place];
  const double share = share_at(place);
  Exchange best{.worse = std::numeric_limits<double>::infinity()};
  for (std::uint32_t d = 0; d < devices_.size(); ++d) {
    if (holds(d, expert)) continue;
    for (std::uint32_t p = devices_[d].first; p < devices_[d].first + devices_[d].room; ++p) {
      if (holds(device, now_.expert_at[p])) continue;
      const double more = share - share_at(p);
      const double worse = std::max(now_.level[device] - more * devices_[device].per_speed, now_.level[d] + more * devices_[d].per_speed);
      if (worse < best.worse) best = {worse, d, place, p};
    }
  }
  if (best.worse < std::numeric_limits<double>::infinity()) {
    put(device, place, now_.expert_at[best.in]);
    put(best.device, best.in, expert);
    return;
  }
  std::uint32_t other = UINT32_MAX;
  for (std::uint32_t e = 0; e < experts_; ++e)
    if (!holds(device, static_cast<std::int32_t>(e)) && (other == UINT32_MAX || now_.share[e] > now_.share[other])) other = e;
  put(device, place, kEmptySlot);
  set_copies(static_cast<std::uint32_t>(expert), now_.copies[static_cast<std::size_t>(expert)] - 1);
  set_copies(other, now_.copies[other] + 1);
  put(device, place, static_cast<std::int32_t>(other));
}

void LayerPacking::write(std::span<std::int32_t> slots) const {
  std::fill(slots.begin(), slots.end(), kEmptySlot);
  for (const Device& device : devices_) std::copy_n(now_.expert_at.begin() + device.first, device.room, slots.begin() + device.slot);
}

double LayerPacking::plan(std::span<const double> loads, std::uint32_t replicas, std::span<std::int32_t> slots,
                          const PackingEffort& effort) {
  take(loads);
  choose_counts(replicas);
  deal();
  search(effort);
  write(slots);
  return now_.level[busiest()];
}

double LayerPacking::improve(std::span<const double> loads, std::span<std::int32_t> slots, const PackingEffort& effort) {
  take(loads);
  std::fill(now_.copies.begin(), now_.copies.end(), 0U);
  for (const std::int32_t e : slots)
    if (e >= 0) ++now_.copies[static_cast<std::size_t>(e)];
  for (std::uint32_t e = 0; e < experts_; ++e) now_.share[e] = now_.copies[e] > 0 ? loads_[e] / now_.copies[e] : 0;
  for (std::uint32_t d = 0; d < devices_.size(); ++d)
    for (std::uint32_t i = 0; i < devices_[d].room; ++i) put(d, devices_[d].first + i, slots[devices_[d].slot + i]);
  separate();
  search(effort);
  write(slots);
  return now_.level[busiest()];
}

}  // namespace flexpert::placement
