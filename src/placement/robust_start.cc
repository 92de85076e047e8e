#include "placement/robust_start.h"

#include <algorithm>
#include <numeric>
#include <queue>

namespace flexpert::placement {
namespace {

/// Packs replicas of some experts onto some devices.
class StartPacking {
 public:
  explicit StartPacking(const RobustState& state)
      : state_(state), row_(state.slots(), kEmptySlot), used_(state.devices(), 0), load_(state.devices(), 0.0) {}

  void pack(std::span<const std::uint32_t> experts, std::span<const std::uint32_t> devices) {
    std::uint32_t room = 0;
    for (const std::uint32_t d : devices) room += slots_of(d);
    const std::vector<std::uint32_t> replicas = replicate(experts, room, static_cast<std::uint32_t>(devices.size()));
    std::vector<std::uint32_t> order(experts.size());
    std::iota(order.begin(), order.end(), 0U);
    const auto part = [&](std::uint32_t i) { return state_.share(experts[i]) / replicas[i]; };
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return part(a) > part(b); });
    for (const std::uint32_t i : order) {
      std::vector<std::uint32_t> taken;
      for (std::uint32_t r = 0; r < replicas[i]; ++r) taken.push_back(put(experts[i], part(i), devices, taken));
    }
  }

  std::vector<std::int32_t> row() && { return std::move(row_); }

 private:
  [[nodiscard]] std::uint32_t slots_of(std::uint32_t device) const {
    return state_.alive(device) ? state_.first_slot(device + 1) - state_.first_slot(device) : 0;
  }

  std::vector<std::uint32_t> replicate(std::span<const std::uint32_t> experts, std::uint32_t room, std::uint32_t most) const {
    std::vector<std::uint32_t> replicas(experts.size(), 1);
    struct Next {
      double part;
      std::uint32_t replicas;
      std::uint32_t index;
      bool operator<(const Next& than) const {  // a heap's top is the largest
        if (part != than.part) return part < than.part;
        return replicas != than.replicas ? replicas > than.replicas : index > than.index;
      }
    };
    std::priority_queue<Next> heap;
    for (std::uint32_t i = 0; i < experts.size(); ++i) heap.push({state_.share(experts[i]), 1, i});
    for (auto used = static_cast<std::uint32_t>(experts.size()); used < room && !heap.empty(); ++used) {
      const Next top = heap.top();
      heap.pop();
      const std::uint32_t now = ++replicas[top.index];
      if (now < most) heap.push({state_.share(experts[top.index]) / now, now, top.index});
    }
    return replicas;
  }

  /// Places one replica; returns its device.
  std::uint32_t put(std::uint32_t expert, double part, std::span<const std::uint32_t> devices, std::span<const std::uint32_t> taken) {
    const auto& all = state_.goal().cluster->devices;
    std::uint32_t best = UINT32_MAX;
    int best_clash = 0;
    double best_load = 0;
    for (const std::uint32_t d : devices) {
      if (used_[d] >= slots_of(d)) continue;
      int clash = 0;
      for (const std::uint32_t other : taken) {
        if (other == d) clash += 4;
        else if (state_.goal().spread_hosts && all[other].host == all[d].host) ++clash;
      }
      const double load = (load_[d] + part) / all[d].speed;
      if (best != UINT32_MAX && (clash > best_clash || (clash == best_clash && load >= best_load))) continue;
      best = d;
      best_clash = clash;
      best_load = load;
    }
    if (best == UINT32_MAX) return best;
    row_[state_.first_slot(best) + used_[best]++] = static_cast<std::int32_t>(expert);
    load_[best] += part;
    return best;
  }

  const RobustState& state_;
  std::vector<std::int32_t> row_;
  std::vector<std::uint32_t> used_;
  std::vector<double> load_;
};

std::vector<std::uint32_t> devices_of(const RobustState& state, std::uint32_t node) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t d = 0; d < state.devices(); ++d)
    if (state.alive(d) && state.first_slot(d) < state.first_slot(d + 1) && state.goal().cluster->devices[d].node == node) out.push_back(d);
  return out;
}

}  // namespace

std::vector<std::int32_t> home_start(const RobustState& state, std::span<const std::uint32_t> home) {
  StartPacking packing(state);
  for (std::uint32_t node = 0; node < state.goal().cluster->nodes(); ++node) {
    std::vector<std::uint32_t> experts;
    for (std::uint32_t e = 0; e < home.size(); ++e)
      if (home[e] == node) experts.push_back(e);
    if (experts.empty()) continue;
    const auto devices = devices_of(state, node);
    std::size_t room = 0;
    for (const std::uint32_t d : devices) room += state.first_slot(d + 1) - state.first_slot(d);
    if (room < experts.size()) return {};
    packing.pack(experts, devices);
  }
  return std::move(packing).row();
}

std::vector<std::int32_t> repaired_start(const RobustState& state, std::span<const std::int32_t> row) {
  std::vector<std::int32_t> out(row.begin(), row.end());
  std::vector<std::uint32_t> replicas(state.experts(), 0);
  for (std::uint32_t slot = 0; slot < out.size(); ++slot) {
    if (!state.living_slot(slot)) out[slot] = kEmptySlot;
    if (out[slot] != kEmptySlot) ++replicas[static_cast<std::size_t>(out[slot])];
  }
  for (std::uint32_t e = 0; e < replicas.size(); ++e) {
    if (replicas[e] > 0) continue;
    std::uint32_t best = UINT32_MAX;
    double best_cost = 0;
    for (std::uint32_t slot = 0; slot < out.size(); ++slot) {
      if (!state.living_slot(slot)) continue;
      const auto old = static_cast<std::size_t>(out[slot]);
      if (out[slot] != kEmptySlot && replicas[old] < 2) continue;
      // What its other replicas take over in all.
      const double cost = out[slot] == kEmptySlot ? -1 : state.share(static_cast<std::uint32_t>(old)) / replicas[old];
      if (best != UINT32_MAX && cost >= best_cost) continue;
      best = slot;
      best_cost = cost;
    }
    if (best == UINT32_MAX) return out;
    if (out[best] != kEmptySlot) --replicas[static_cast<std::size_t>(out[best])];
    out[best] = static_cast<std::int32_t>(e);
    replicas[e] = 1;
  }
  return out;
}

}  // namespace flexpert::placement
