#include "placement/level_start.h"

#include <algorithm>
#include <numeric>

#include "fleet/expert_layout.h"

namespace flexpert::placement {

std::vector<std::int32_t> level_start(std::span<const double> loads, const ExpertCluster& cluster) {
  std::uint32_t slots = 0;
  std::uint32_t devices = 0;
  std::vector<std::uint32_t> next;  // the device's first free slot
  std::vector<std::uint32_t> end;
  std::uint32_t at = 0;
  for (const ExpertDevice& device : cluster.devices) {
    next.push_back(at);
    at += device.slots;
    end.push_back(device.alive ? at : next.back());
    if (!device.alive || device.slots == 0) continue;
    ++devices;
    slots += device.slots;
  }
  std::vector<std::uint32_t> replicas(loads.size(), 1);
  for (std::size_t used = loads.size(); used < slots; ++used) {
    std::size_t best = loads.size();
    for (std::size_t e = 0; e < loads.size(); ++e)
      if (replicas[e] < devices && (best == loads.size() || loads[e] / replicas[e] > loads[best] / replicas[best])) best = e;
    if (best == loads.size()) break;
    ++replicas[best];
  }
  std::vector<std::uint32_t> order(loads.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) { return loads[a] / replicas[a] > loads[b] / replicas[b]; });
  std::vector<std::int32_t> row(at, kEmptySlot);
  std::vector<double> load(cluster.devices.size(), 0);
  std::vector<bool> holds(cluster.devices.size());
  for (const std::uint32_t e : order) {
    std::fill(holds.begin(), holds.end(), false);
    const double share = loads[e] / replicas[e];
    for (std::uint32_t i = 0; i < replicas[e]; ++i) {
      std::size_t best = load.size();
      const auto after = [&](std::size_t d) { return (load[d] + share) / cluster.devices[d].speed; };
      for (std::size_t d = 0; d < load.size(); ++d)
        if (next[d] < end[d] && !holds[d] && (best == load.size() || after(d) < after(best))) best = d;
      if (best == load.size()) break;
      row[next[best]++] = static_cast<std::int32_t>(e);
      load[best] += share;
      holds[best] = true;
    }
  }
  return row;
}

}  // namespace flexpert::placement
