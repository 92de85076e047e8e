#include "placement/replay_start.h"

#include <algorithm>
#include <vector>

namespace flexpert::placement {
namespace {

/// Where the experts of every device begin, and their end.
std::vector<std::uint32_t> parts(std::uint32_t experts, std::uint32_t devices) {
  std::vector<std::uint32_t> first(devices + 1);
  for (std::uint32_t d = 0; d < devices; ++d) first[d + 1] = first[d] + experts / devices + (d < experts % devices ? 1 : 0);
  return first;
}

}  // namespace

ExpertLayout bare_layout(ExpertGeometry geometry, std::uint32_t devices) {
  const std::vector<std::uint32_t> first = parts(geometry.experts, devices);
  std::vector<std::uint32_t> slots(devices);
  for (std::uint32_t d = 0; d < devices; ++d) slots[d] = first[d + 1] - first[d];
  return trivial_layout(geometry, std::move(slots));
}

ExpertCluster cluster_of(const ExpertLayout& layout) {
  ExpertCluster cluster;
  for (const std::uint32_t slots : layout.slots_of_device) cluster.devices.push_back({.slots = slots});
  return cluster;
}

ExpertLayout ring_layout(ExpertGeometry geometry, const ExpertCluster& cluster) {
  const auto devices = static_cast<std::uint32_t>(cluster.devices.size());
  const std::vector<std::uint32_t> first = parts(geometry.experts, devices);
  ExpertLayout layout{.geometry = geometry, .slots_of_device = {}, .expert_of_slot = {}};
  for (const ExpertDevice& device : cluster.devices) layout.slots_of_device.push_back(device.slots);
  std::vector<std::int32_t> layer;
  for (std::uint32_t d = 0; d < devices; ++d) {
    std::uint32_t used = 0;
    for (std::uint32_t e = first[d]; e < first[d + 1]; ++e, ++used) layer.push_back(static_cast<std::int32_t>(e));
    // One expert of each of the devices after this one, then a second of each; none while all are here.
    for (std::uint32_t turn = 0; used < cluster.devices[d].slots; ++turn) {
      const std::uint32_t other = (d + 1 + turn % std::max(devices - 1, 1U)) % devices;
      const std::uint32_t rank = turn / std::max(devices - 1, 1U);
      if (rank > geometry.experts) {
        layer.push_back(kEmptySlot);
        ++used;
      } else if (other != d && rank < first[other + 1] - first[other]) {
        layer.push_back(static_cast<std::int32_t>(first[other] + rank));
        ++used;
      }
    }
  }
  for (std::uint32_t l = 0; l < geometry.layers; ++l) layout.expert_of_slot.insert(layout.expert_of_slot.end(), layer.begin(), layer.end());
  return layout;
}

}  // namespace flexpert::placement
