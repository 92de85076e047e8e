#include "fleet/expert_cluster.h"

#include <algorithm>

#include "base/check.h"

namespace flexpert {

ExpertCluster ExpertCluster::uniform(std::uint32_t devices, std::uint32_t nodes, std::uint32_t slots_per_device) {
  FLEXPERT_CHECK(nodes > 0 && devices % nodes == 0, "nodes of equal size");
  ExpertCluster out;
  for (std::uint32_t d = 0; d < devices; ++d) out.devices.push_back({d / (devices / nodes), d / (devices / nodes), slots_per_device, 1, true});
  return out;
}

std::uint32_t ExpertCluster::slots() const {
  std::uint32_t out = 0;
  for (const ExpertDevice& device : devices) out += device.slots;
  return out;
}

std::uint32_t ExpertCluster::nodes() const {
  std::uint32_t out = 0;
  for (const ExpertDevice& device : devices) out = std::max(out, device.node + 1);
  return out;
}

std::uint32_t ExpertCluster::hosts() const {
  std::uint32_t out = 0;
  for (const ExpertDevice& device : devices) out = std::max(out, device.host + 1);
  return out;
}

Result<void> validate(const ExpertCluster& cluster) {
  if (cluster.devices.empty()) return fail(ErrorCode::kInvalidArgument, "cluster: needs at least one device");
  if (cluster.devices.size() > 65535) return fail(ErrorCode::kInvalidArgument, "cluster: at most 65535 devices: {}", cluster.devices.size());
  std::uint64_t slots = 0;
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    const ExpertDevice& device = cluster.devices[d];
    if (!(device.speed >= kLeastSpeed && device.speed <= kMostSpeed))
      return fail(ErrorCode::kInvalidArgument, "cluster: device {}: speed must be a number from {} to {}, over 0: {}", d, kLeastSpeed, kMostSpeed,
                  device.speed);
    if (device.node > 65535 || device.host > 65535)
      return fail(ErrorCode::kInvalidArgument, "cluster: device {}: node and host must be at most 65535: {}, {}", d, device.node, device.host);
    slots += device.slots;
  }
  if (slots == 0 || slots > 1048576) return fail(ErrorCode::kInvalidArgument, "cluster: needs 1 to 1048576 slots a layer: {}", slots);
  return {};
}

}  // namespace flexpert
