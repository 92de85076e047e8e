#include "placement/balance.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "placement/max_load_bound.h"

namespace flexpert::placement {

Balance balance_of(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts) {
  Balance out;
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  double speeds = 0;
  for (const ExpertDevice& device : cluster.devices)
    if (device.alive) speeds += device.speed;
  double sum = 0;
  double bound_sum = 0;
  std::uint32_t loaded = 0;
  MaxLoadBound bound(cluster);
  std::vector<double> load(layout.devices());
  std::vector<std::uint32_t> last_device(layout.geometry.experts);
  std::vector<std::uint32_t> replicas(layout.geometry.experts);
  std::vector<double> served;
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    std::fill(load.begin(), load.end(), 0.0);
    std::fill(last_device.begin(), last_device.end(), UINT32_MAX);
    const auto weights = counts.layer(l);
    const auto row = layout.layer(l);
    const auto serves = [&](std::size_t slot) { return row[slot] != kEmptySlot && cluster.devices[device_of[slot]].alive; };
    std::fill(replicas.begin(), replicas.end(), 0U);
    for (std::size_t slot = 0; slot < row.size(); ++slot)
      if (serves(slot)) ++replicas[static_cast<std::size_t>(row[slot])];
    LayerBalance layer;
    for (std::size_t slot = 0; slot < row.size(); ++slot) {
      if (!serves(slot)) continue;
      const auto expert = static_cast<std::uint32_t>(row[slot]);
      load[device_of[slot]] += weights[expert] / replicas[expert];
      // Slots are walked device by device, so a repeat on one device finds its own number here.
      if (std::exchange(last_device[expert], device_of[slot]) == device_of[slot]) ++layer.duplicates;
    }
    for (std::uint32_t d = 0; d < load.size(); ++d) {
      const double at = load[d] / cluster.devices[d].speed;
      if (at > layer.max_load) layer.max_load = at, layer.busiest = d;
    }
    served.clear();
    for (std::size_t expert = 0; expert < replicas.size(); ++expert)
      if (replicas[expert] > 0) served.push_back(weights[expert]);
    const double total = std::accumulate(served.begin(), served.end(), 0.0);
    if (total >= kLeastLoad) {
      layer.mean_load = total / speeds;
      layer.lower_bound = bound.of(served, layer.max_load);
    } else {
      layer.max_load = 0;
      layer.busiest = 0;
    }
    out.duplicates += layer.duplicates;
    if (total > 0 && layer.lower_bound > 0) {
      ++loaded;
      sum += layer.balancedness();
      bound_sum += layer.mean_load / layer.lower_bound;
      out.gap += layer.max_load / layer.lower_bound - 1;
      if (layer.balancedness() < out.worst) out.worst = layer.balancedness(), out.worst_layer = l;
    }
    out.layers.push_back(layer);
  }
  if (loaded > 0) {
    out.balancedness = sum / loaded;
    out.bound = bound_sum / loaded;
    out.gap /= loaded;
  }
  return out;
}

Result<void> check_match(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts) {
  FLEXPERT_TRY(validate(layout));
  FLEXPERT_TRY(validate(cluster));
  FLEXPERT_TRY(validate(counts));
  if (layout.geometry != counts.geometry)
    return fail(ErrorCode::kInvalidArgument, "the layout has {} layers x {} experts, the counts {} x {}", layout.geometry.layers,
                layout.geometry.experts, counts.geometry.layers, counts.geometry.experts);
  if (layout.devices() != cluster.devices.size())
    return fail(ErrorCode::kInvalidArgument, "the layout has {} devices, the cluster {}", layout.devices(), cluster.devices.size());
  for (std::size_t d = 0; d < cluster.devices.size(); ++d)
    if (layout.slots_of_device[d] != cluster.devices[d].slots)
      return fail(ErrorCode::kInvalidArgument, "device {} has {} slots in the layout, {} in the cluster", d, layout.slots_of_device[d],
                  cluster.devices[d].slots);
  return {};
}

}  // namespace flexpert::placement
