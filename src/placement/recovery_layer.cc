#include "placement/recovery_layer.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "fleet/expert_counts.h"

namespace flexpert::placement {
namespace {

/// The busiest device exchanges experts with so many of the least busy ones.
constexpr std::size_t kPartners = 8;
/// So many spare slots are compared at once: more than any fleet has, so that time does not grow with their square.
constexpr std::size_t kSpares = 2048;
/// A step lowers the busiest device by at least this share.
constexpr double kLeastStep = 1e-3;

}  // namespace

RecoveryLayer::RecoveryLayer(const ExpertCluster& cluster, std::uint32_t experts) : cluster_(cluster) {
  for (std::uint32_t d = 0; d < cluster.devices.size(); ++d) {
    const ExpertDevice& device = cluster.devices[d];
    first_slot_.push_back(static_cast<std::uint32_t>(device_of_.size()));
    device_of_.insert(device_of_.end(), device.slots, d);
    per_load_.push_back(1 / device.speed);
    if (!device.alive || device.slots == 0) continue;
    living_.push_back(d);
    speeds_ += device.speed;
    for (std::uint32_t s = 0; s < device.slots; ++s) living_slots_.push_back(first_slot_.back() + s);
  }
  first_slot_.push_back(static_cast<std::uint32_t>(device_of_.size()));
  row_.resize(device_of_.size());
  replicas_.resize(experts);
  share_.resize(experts);
  first_holder_.resize(experts);
  next_.resize(device_of_.size());
  needed_.resize(experts, 1);
  load_.resize(cluster.devices.size());
}

void RecoveryLayer::begin(std::span<const std::int32_t> row, std::span<const double> loads) {
  loads_ = loads;
  std::fill(row_.begin(), row_.end(), kEmptySlot);
  std::fill(replicas_.begin(), replicas_.end(), 0U);
  std::fill(first_holder_.begin(), first_holder_.end(), kNone);
  for (const std::uint32_t slot : living_slots_) {
    row_[slot] = row[slot];
    if (row[slot] == kEmptySlot) continue;
    const auto expert = static_cast<std::size_t>(row[slot]);
    next_[slot] = first_holder_[expert];
    first_holder_[expert] = slot;
    ++replicas_[expert];
  }
  orphans_.clear();
  for (std::uint32_t e = 0; e < replicas_.size(); ++e) {
    share_[e] = replicas_[e] > 0 ? loads_[e] / replicas_[e] : 0;
    if (replicas_[e] == 0) orphans_.push_back(e);
  }
  refresh_loads();
}

void RecoveryLayer::refresh_loads() {
  std::fill(load_.begin(), load_.end(), 0.0);
  for (const std::uint32_t slot : living_slots_) load_[device_of_[slot]] += part(row_[slot]) * per_load_[device_of_[slot]];
}

double RecoveryLayer::balancedness() const {
  double served = 0;
  for (std::size_t e = 0; e < replicas_.size(); ++e)
    if (replicas_[e] > 0) served += loads_[e];
  const double largest = *std::max_element(load_.begin(), load_.end());
  return largest >= kLeastLoad ? served / speeds_ / largest : -1;
}

void RecoveryLayer::choose_served() {
  std::fill(needed_.begin(), needed_.end(), 1U);
  if (living_slots_.size() >= replicas_.size()) return;
  order_.resize(replicas_.size());
  std::iota(order_.begin(), order_.end(), 0U);
  std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
    if (loads_[a] != loads_[b]) return loads_[a] > loads_[b];
    if ((replicas_[a] > 0) != (replicas_[b] > 0)) return replicas_[a] > 0;  // what lives need not move
    return a < b;
  });
  for (std::size_t i = living_slots_.size(); i < order_.size(); ++i) needed_[order_[i]] = 0;
}

void RecoveryLayer::collect_spares(std::uint32_t but_on) {
  spare_.clear();
  for (const std::uint32_t slot : living_slots_) {
    if (device_of_[slot] == but_on || !redundant(slot)) continue;
    spare_.push_back(slot);
    if (spare_.size() == kSpares) return;
  }
}

bool RecoveryLayer::apart(std::uint32_t expert, std::uint32_t device, std::uint32_t leaving) const {
  for (std::uint32_t slot = first_holder_[expert]; slot != kNone; slot = next_[slot]) {
    if (slot == leaving) continue;
    if (device_of_[slot] == device || cluster_.devices[device_of_[slot]].host == cluster_.devices[device].host) return false;
  }
  return true;
}

void RecoveryLayer::set(std::uint32_t slot, std::int32_t expert) {
  const auto shift = [&](std::uint32_t of, std::uint32_t count) {
    const double old = share_[of];
    const double now = share_[of] = count > 0 ? loads_[of] / count : 0;
    if (replicas_[of] > 0) {
      for (std::uint32_t s = first_holder_[of]; s != kNone; s = next_[s]) load_[device_of_[s]] += (now - old) * per_load_[device_of_[s]];
    }
    replicas_[of] = count;
  };
  const std::uint32_t device = device_of_[slot];
  if (row_[slot] != kEmptySlot) {
    const auto old = static_cast<std::uint32_t>(row_[slot]);
    load_[device] -= part(row_[slot]) * per_load_[device];
    std::uint32_t* link = &first_holder_[old];
    while (*link != slot) link = &next_[*link];
    *link = next_[slot];
    shift(old, replicas_[old] - 1);
  }
  row_[slot] = expert;
  if (expert == kEmptySlot) return;
  const auto now = static_cast<std::uint32_t>(expert);
  shift(now, replicas_[now] + 1);
  load_[device] += part(expert) * per_load_[device];
  next_[slot] = first_holder_[now];
  first_holder_[now] = slot;
}

void RecoveryLayer::serve_orphans() {
  choose_served();
  order_.clear();
  for (const std::uint32_t e : orphans_)
    if (needed_[e] > 0) order_.push_back(e);
  std::stable_sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) { return loads_[a] > loads_[b]; });
  spare_.clear();
  for (const std::uint32_t expert : order_) {
    std::uint32_t best = kNone;
    double least = std::numeric_limits<double>::infinity();
    std::erase_if(spare_, [&](std::uint32_t slot) { return !redundant(slot); });
    if (spare_.empty()) collect_spares(kNone);
    for (const std::uint32_t slot : spare_) {
      const double largest = largest_if(slot, expert, least);
      if (best == kNone || largest < least) best = slot, least = largest;
    }
    if (best == kNone) return;
    set(best, static_cast<std::int32_t>(expert));
  }
  // An expert that is not wanted has its slots until another needs them; now none does.
}

void RecoveryLayer::find_partners() {
  order_.clear();
  for (const std::uint32_t d : living_) {
    if (order_.size() == kPartners && load_[d] >= load_[order_.back()]) continue;
    if (order_.size() == kPartners) order_.pop_back();
    auto at = order_.end();
    while (at != order_.begin() && load_[d] < load_[*(at - 1)]) --at;
    order_.insert(at, d);
  }
}

void RecoveryLayer::balance(std::uint32_t slots) {
  while (slots > 0) {
    std::uint32_t busiest = living_.front();
    for (const std::uint32_t d : living_)
      if (load_[d] > load_[busiest]) busiest = d;
    double least = load_[busiest] * (1 - kLeastStep);
    std::uint32_t first = kNone;
    std::uint32_t second = kNone;  // the slot to exchange with, or
    std::int32_t expert = kEmptySlot;  // the expert that `first` gets
    // A spare replica of some other expert becomes one more of an expert of the busiest device.
    collect_spares(busiest);
    for (std::uint32_t own = first_slot_[busiest]; own < first_slot_[busiest + 1]; ++own) {
      if (row_[own] == kEmptySlot) continue;
      const auto of = static_cast<std::uint32_t>(row_[own]);
      const double count = replicas_[of];
      const double one_more = loads_[of] / (count + 1);
      const double relieved = load_[busiest] - one_more / count * per_load_[busiest];
      if (relieved >= least) continue;
      for (const std::uint32_t slot : spare_) {
        const std::uint32_t at = device_of_[slot];
        if (row_[slot] == row_[own] || load_[at] + (one_more - part(row_[slot])) * per_load_[at] >= least) continue;
        const double largest = std::max(relieved, largest_if(slot, of, least));
        if (largest < least && apart(of, at, kNone)) least = largest, first = slot, expert = row_[own];
      }
    }
    if (slots > 1) {
      find_partners();
      for (std::uint32_t own = first_slot_[busiest]; own < first_slot_[busiest + 1]; ++own) {
        const double mine = part(row_[own]);
        for (const std::uint32_t d : order_) {
          for (std::uint32_t other = first_slot_[d]; other < first_slot_[d + 1]; ++other) {
            const double moved = mine - part(row_[other]);
            const double largest = std::max(load_[busiest] - moved * per_load_[busiest], load_[d] + moved * per_load_[d]);
            if (largest >= least || d == busiest || row_[own] == row_[other]) continue;
            if (row_[own] != kEmptySlot && !apart(static_cast<std::uint32_t>(row_[own]), d, own)) continue;
            if (row_[other] != kEmptySlot && !apart(static_cast<std::uint32_t>(row_[other]), busiest, other)) continue;
            least = largest;
            first = own;
            second = other;
          }
        }
      }
    }
    if (first == kNone) return;
    if (second != kNone) {
      const std::int32_t mine = row_[first];
      const std::int32_t theirs = row_[second];
      set(first, kEmptySlot);
      set(second, mine);
      set(first, theirs);
      slots -= 2;
    } else {
      set(first, expert);
      slots -= 1;
    }
  }
}

}  // namespace flexpert::placement
