#include <algorithm>
#include <vector>

#include "fleet/expert_counts.h"
#include "placement/robust.h"

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kGone = UINT32_MAX;

/// What a layer's slots have left when some devices are gone.
double surviving_balancedness(std::span<const std::int32_t> row, std::span<const double> loads, const ExpertCluster& cluster,
                              std::span<const std::uint32_t> device_of, std::span<const std::uint32_t> living, std::uint32_t lost_host) {
  std::vector<double> load(cluster.devices.size(), 0.0);
  double served = 0;
  for (std::size_t e = 0; e < loads.size(); ++e)
    if (living[e] > 0) served += loads[e];
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    const ExpertDevice& device = cluster.devices[device_of[slot]];
    if (row[slot] == kEmptySlot || !device.alive || device.host == lost_host) continue;
    const auto expert = static_cast<std::size_t>(row[slot]);
    load[device_of[slot]] += loads[expert] / living[expert] / device.speed;
  }
  double speeds = 0;
  for (const ExpertDevice& device : cluster.devices)
    if (device.alive && device.host != lost_host) speeds += device.speed;
  const double largest = *std::max_element(load.begin(), load.end());
  return largest >= kLeastLoad ? served / speeds / largest : kGone;
}

}  // namespace

std::vector<HostLoss> host_losses(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts) {
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  std::vector<HostLoss> out;
  std::vector<bool> is_host(cluster.hosts(), false);
  for (const ExpertDevice& device : cluster.devices) is_host[device.host] = true;
  std::vector<std::uint32_t> before(layout.geometry.experts);
  std::vector<std::uint32_t> after(layout.geometry.experts);
  for (std::uint32_t host = 0; host < is_host.size(); ++host) {
    if (!is_host[host]) continue;
    HostLoss& loss = out.emplace_back();
    loss.host = host;
    double sum = 0;
    std::uint32_t loaded = 0;
    for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
      const auto row = layout.layer(l);
      std::fill(before.begin(), before.end(), 0U);
      std::fill(after.begin(), after.end(), 0U);
      for (std::size_t slot = 0; slot < row.size(); ++slot) {
        const ExpertDevice& device = cluster.devices[device_of[slot]];
        if (row[slot] == kEmptySlot || !device.alive) continue;
        ++before[static_cast<std::size_t>(row[slot])];
        if (device.host != host) ++after[static_cast<std::size_t>(row[slot])];
      }
      for (std::uint32_t e = 0; e < after.size(); ++e) {
        if (after[e] > 0) continue;
        loss.lost.push_back({l, e});
        if (before[e] > 1) loss.lost_with_redundancy.push_back({l, e});
      }
      const double balancedness = surviving_balancedness(row, counts.layer(l), cluster, device_of, after, host);
      if (balancedness >= kGone) continue;
      sum += balancedness;
      ++loaded;
    }
    loss.balancedness = loaded > 0 ? sum / loaded : 1;
  }
  return out;
}

}  // namespace flexpert::placement
