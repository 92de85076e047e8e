#include "placement/window_balance.h"

#include <algorithm>
#include <numeric>

#include "placement/ideal_split.h"

namespace flexpert::placement {

WindowBalance window_balance(const ExpertLayout& layout, const ExpertCluster& cluster, std::span<const ExpertCounts> windows) {
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  const std::uint32_t experts = layout.geometry.experts;
  double speeds = 0;
  for (const ExpertDevice& device : cluster.devices) speeds += device.alive ? device.speed : 0;
  double even = 0;
  double dispatched = 0;
  std::uint64_t loaded = 0;
  std::vector<std::uint32_t> replicas(experts);
  std::vector<double> load(cluster.devices.size());
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    const auto row = layout.layer(l);
    std::fill(replicas.begin(), replicas.end(), 0U);
    const auto serves = [&](std::size_t slot) { return row[slot] != kEmptySlot && cluster.devices[device_of[slot]].alive; };
    for (std::size_t slot = 0; slot < row.size(); ++slot)
      if (serves(slot)) ++replicas[static_cast<std::size_t>(row[slot])];
    IdealSplit split(row, experts, cluster);
    for (const ExpertCounts& window : windows) {
      const auto counts = window.layer(l);
      std::fill(load.begin(), load.end(), 0.0);
      for (std::size_t slot = 0; slot < row.size(); ++slot) {
        if (!serves(slot)) continue;
        const auto e = static_cast<std::size_t>(row[slot]);
        load[device_of[slot]] += counts[e] / replicas[e];
      }
      const double mean = std::accumulate(load.begin(), load.end(), 0.0) / speeds;
      if (!(mean >= kLeastLoad)) continue;
      for (std::size_t d = 0; d < load.size(); ++d) load[d] /= cluster.devices[d].speed;
      ++loaded;
      even += mean / std::ranges::max(load);
      dispatched += mean / split.max_load(counts);
    }
  }
  if (loaded == 0) return {};
  return {even / static_cast<double>(loaded), dispatched / static_cast<double>(loaded)};
}

}  // namespace flexpert::placement
