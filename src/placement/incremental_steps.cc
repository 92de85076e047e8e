// The steps that IncrementalLayer chooses from: swaps, another expert on the busiest device, another replica elsewhere.
#include <algorithm>

#include "placement/incremental_layer.h"

namespace flexpert::placement {

void IncrementalLayer::offer(double gain, int cost, SlotWrite one) {
  const double score = gain / (cost > 0 ? cost : 0.5);
  if (score > best_.score) best_ = {score, 1, {one, {}}};
}

void IncrementalLayer::try_swaps(std::uint32_t top) {
  const double over_top = load_[top] - threshold_;
  const double inverse_top = devices_.inverse_speed[top];
  const double high_excess = excess(load_[top]);
  for (std::uint32_t d = 0; d < devices_.devices(); ++d) {
    if (d == top || !devices_.alive[d]) continue;
    // Only a swap that brings something back to where it was changes fewer slots than two.
    if (2 * (high_excess + excess(load_[d])) <= best_.score) continue;
    const double inverse = devices_.inverse_speed[d];
    const double over = load_[d] - threshold_;
    // The shift that leaves least excess on both: if there is room enough for all, the middle of what leaves none.
    const double ideal = over_top * inverse + over * inverse_top <= 0
                             ? (over_top / inverse_top - over / inverse) / 2
                             : (over_top * inverse_top - over * inverse) / (inverse_top * inverse_top + inverse * inverse);
    const double most = (limit_ - load_[d]) / inverse;
    const auto first = order_.begin() + devices_.first[d];
    const auto last = order_.begin() + devices_.first[d + 1];
    for (std::uint32_t slot = devices_.first[top]; slot < devices_.first[top + 1]; ++slot) {
      if (row_[slot] == kEmptySlot) continue;
      if (foreign_[slot] != 0) {
        for (auto other = first; other != last; ++other) (void)try_swap(top, slot, d, *other);
        continue;
      }
      // The farther from the ideal, the less it gains: on either side the first that can be swapped is the best.
      const double share = slot_share_[slot];
      auto above = first;
      while (above != last && slot_share_[*above] < share - ideal) ++above;
      for (auto other = above; other != last && slot_share_[*other] < share; ++other)
        if (try_swap(top, slot, d, *other)) break;
      for (auto other = above; other != first && slot_share_[*--other] >= share - most;)
        if (try_swap(top, slot, d, *other)) break;
      for (auto other = first; other != last; ++other)
        if (foreign_[*other] != 0) (void)try_swap(top, slot, d, *other);
    }
  }
}

bool IncrementalLayer::try_swap(std::uint32_t top, std::uint32_t slot, std::uint32_t device, std::uint32_t other) {
  const double high = load_[top];
  const double low = load_[device];
  const double shift = slot_share_[slot] - slot_share_[other];
  const double new_high = high - shift * devices_.inverse_speed[top];
  const double new_low = low + shift * devices_.inverse_speed[device];
  if (new_high > limit_ || new_low > limit_ || row_[other] == kEmptySlot) return false;
  const double gain = excess(high) + excess(low) - excess(new_high) - excess(new_low);
  if (gain <= (foreign_[slot] + foreign_[other] > 0 ? 0.5 : 2) * best_.score) return true;
  const auto mine = static_cast<std::uint32_t>(row_[slot]);
  const auto theirs = static_cast<std::uint32_t>(row_[other]);
  if (held(top, theirs) > 0 || held(device, mine) > 0) return false;
  const int cost = change_by_leaving(top, row_[slot]) + change_by_coming(device, row_[slot]) + change_by_leaving(device, row_[other]) +
                   change_by_coming(top, row_[other]);
  const double score = gain / (cost > 0 ? cost : 0.5);
  if (score > best_.score) best_ = {score, 2, {{slot, row_[other]}, {other, row_[slot]}}};
  return true;
}

/// A replica on the busiest device gives way to another expert's.
void IncrementalLayer::try_replacing_on(std::uint32_t top) {
  const double high = load_[top];
  const std::vector<double> loads = load_;
  for (std::uint32_t slot = devices_.first[top]; slot < devices_.first[top + 1]; ++slot) {
    if (row_[slot] == kEmptySlot || replicas_[static_cast<std::uint32_t>(row_[slot])] < 2 || slot == kept_) continue;
    const auto mine = static_cast<std::uint32_t>(row_[slot]);
    double without = 0;
    bool fits = true;
    load_[top] -= share_[mine] * devices_.inverse_speed[top];
    for (std::int32_t s = first_of_[mine]; s >= 0; s = next_[static_cast<std::uint32_t>(s)]) {
      if (static_cast<std::uint32_t>(s) == slot) continue;
      const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
      load_[at] += (share_fewer_[mine] - share_[mine]) * devices_.inverse_speed[at];
      fits = fits && load_[at] <= limit_;
    }
    if (fits) {
      for (std::int32_t s = first_of_[mine]; s >= 0; s = next_[static_cast<std::uint32_t>(s)]) {
        const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
        if (at == top) continue;
        // A device that holds the expert twice is counted once: its second slot finds nothing left to add.
        bool first = true;
        for (std::int32_t t = first_of_[mine]; t != s && first; t = next_[static_cast<std::uint32_t>(t)])
          first = devices_.device_of[static_cast<std::uint32_t>(t)] != at;
        if (first) without += excess(loads[at]) - excess(load_[at]);
      }
      const int leaving = change_by_leaving(top, row_[slot]);
      for (std::uint32_t e = 0; e < experts_; ++e) {
        if (e == mine || held(top, e) > 0) continue;
        const double new_high = load_[top] + share_more_[e] * devices_.inverse_speed[top];
        if (new_high > limit_) continue;
        double gain = without + excess(high) - excess(new_high);
        const double less = share_[e] - share_more_[e];
        for (std::int32_t s = first_of_[e]; s >= 0; s = next_[static_cast<std::uint32_t>(s)]) {
          const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
          gain += excess(load_[at]) - excess(load_[at] - less * devices_.inverse_speed[at]);
        }
        if (2 * gain <= best_.score) continue;
        offer(gain, leaving + change_by_coming(top, static_cast<std::int32_t>(e)), {slot, static_cast<std::int32_t>(e)});
      }
    }
    load_[top] = loads[top];
    for (std::int32_t s = first_of_[mine]; s >= 0; s = next_[static_cast<std::uint32_t>(s)]) {
      const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
      load_[at] = loads[at];
    }
  }
}

/// The slot's expert gets one more replica, elsewhere, in place of a replica or in an empty slot.
void IncrementalLayer::try_replicating(std::uint32_t slot) {
  if (row_[slot] == kEmptySlot) return;
  const auto mine = static_cast<std::uint32_t>(row_[slot]);
  const double less = share_[mine] - share_more_[mine];
  double with = 0;
  saved_ = load_;
  for (std::int32_t s = first_of_[mine]; s >= 0; s = next_[static_cast<std::uint32_t>(s)]) {
    const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
    const double now = load_[at] - less * devices_.inverse_speed[at];
    with += excess(load_[at]) - excess(now);
    load_[at] = now;
  }
  for (const std::uint32_t open : open_) {
    const std::uint32_t d = devices_.device_of[open];
    if (held(d, mine) > 0) continue;
    const std::int32_t holds = row_[open];
    const double gone = holds == kEmptySlot ? 0 : share_[static_cast<std::uint32_t>(holds)];
    const double now = load_[d] + (share_more_[mine] - gone) * devices_.inverse_speed[d];
    if (now > limit_) continue;
    double gain = with + excess(load_[d]) - excess(now);
    bool fits = true;
    if (holds != kEmptySlot) {
      const auto e = static_cast<std::uint32_t>(holds);
      const double more = share_fewer_[e] - share_[e];
      for (std::int32_t s = first_of_[e]; s >= 0 && fits; s = next_[static_cast<std::uint32_t>(s)]) {
        if (static_cast<std::uint32_t>(s) == open) continue;
        const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
        // Twins on one device would add up to more than what is compared here.
        if (at == d || held(at, e) > 1) {
          fits = false;
          break;
        }
        const double then = load_[at] + more * devices_.inverse_speed[at];
        gain += excess(load_[at]) - excess(then);
        fits = then <= limit_;
      }
    }
    if (!fits || 2 * gain <= best_.score) continue;
    offer(gain, change_by_leaving(d, holds) + change_by_coming(d, row_[slot]), {open, row_[slot]});
  }
  load_ = saved_;
}

}  // namespace flexpert::placement
