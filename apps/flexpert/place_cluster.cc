#include "flexpert/place_cluster.h"

#include <algorithm>
#include <numeric>

namespace flexpert::app {

namespace {

Result<std::uint32_t> device_count(const PlaceClusterOptions& o, const ClusterBasis& basis) {
  if (o.devices) return *o.devices;
  if (!o.device_slots.empty()) return static_cast<std::uint32_t>(o.device_slots.size());
  if (basis.layout != nullptr) return basis.layout->devices();
  if (!o.speeds.empty()) return static_cast<std::uint32_t>(o.speeds.size());
  return fail(ErrorCode::kInvalidArgument, "--devices N is needed: how many GPUs the experts are spread over");
}

Result<std::vector<std::uint32_t>> slots_of(const PlaceClusterOptions& o, const ClusterBasis& basis, std::uint32_t devices) {
  const std::uint32_t experts = basis.geometry.experts;
  if ((o.slots ? 1 : 0) + (o.redundant ? 1 : 0) + (o.device_slots.empty() ? 0 : 1) > 1)
    return fail(ErrorCode::kInvalidArgument,
                "--slots, --redundant and --device-slots say the same thing in different words: give one of them");
  if (!o.device_slots.empty()) {
    if (o.device_slots.size() != devices)
      return fail(ErrorCode::kInvalidArgument, "--device-slots names {} devices, --devices {}", o.device_slots.size(), devices);
    return o.device_slots;
  }
  if (o.slots) return std::vector<std::uint32_t>(devices, *o.slots);
  if (o.redundant) {
    const std::uint64_t all = static_cast<std::uint64_t>(experts) + *o.redundant;
    if (all % devices != 0) {
      const std::uint64_t up = (all + devices - 1) / devices * devices - experts;
      const std::uint64_t down = all / devices * devices;
      const std::string less = down >= experts ? fmt::format("{} or ", down - experts) : "";
      return fail(ErrorCode::kInvalidArgument,
                  "--redundant {}: {} experts and as many redundant slots do not spread evenly over {} devices; {}{} would", *o.redundant,
                  experts, devices, less, up);
    }
    return std::vector<std::uint32_t>(devices, static_cast<std::uint32_t>(all / devices));
  }
  if (basis.layout != nullptr && basis.layout->devices() == devices) return basis.layout->slots_of_device;
  const auto dead = static_cast<std::uint32_t>(o.dead.size());
  const std::uint32_t living = devices > dead ? devices - dead : 1;
  return std::vector<std::uint32_t>(devices, (experts + living - 1) / living + 1);
}

Result<void> divide(const char* option, std::uint32_t devices, std::uint32_t parts) {
  if (devices % parts != 0)
    return fail(ErrorCode::kInvalidArgument, "{} {}: {} devices do not divide into as many equal parts", option, parts, devices);
  return {};
}

}  // namespace

Result<ExpertCluster> cluster_of(const PlaceClusterOptions& o, const ClusterBasis& basis) {
  FLEXPERT_ASSIGN(const std::uint32_t devices, device_count(o, basis));
  FLEXPERT_ASSIGN(const std::vector<std::uint32_t> slots, slots_of(o, basis, devices));
  ExpertCluster cluster;
  const bool known = basis.cluster != nullptr && basis.cluster->devices.size() == devices;
  cluster.devices = known ? basis.cluster->devices : std::vector<ExpertDevice>(devices);
  for (std::uint32_t d = 0; d < devices; ++d) cluster.devices[d].slots = slots[d];
  if (o.nodes) {
    FLEXPERT_TRY(divide("--nodes", devices, *o.nodes));
    for (std::uint32_t d = 0; d < devices; ++d) cluster.devices[d].node = cluster.devices[d].host = d / (devices / *o.nodes);
  }
  if (o.hosts) {
    FLEXPERT_TRY(divide("--hosts", devices, *o.hosts));
    for (std::uint32_t d = 0; d < devices; ++d) cluster.devices[d].host = d / (devices / *o.hosts);
  }
  if (!o.speeds.empty() && o.speeds.size() != devices)
    return fail(ErrorCode::kInvalidArgument, "--speeds names {} devices, there are {}; for some devices only, write DEVICE:SPEED",
                o.speeds.size(), devices);
  for (std::size_t d = 0; d < o.speeds.size(); ++d) cluster.devices[d].speed = o.speeds[d];
  for (const auto& [device, speed] : o.speed_of) {
    if (device >= devices)
      return fail(ErrorCode::kInvalidArgument, "--speeds names device {}, the devices are 0 to {}", device, devices - 1);
    cluster.devices[device].speed = speed;
  }
  for (const std::uint32_t device : o.dead) {
    if (device >= devices) return fail(ErrorCode::kInvalidArgument, "--dead names device {}, the devices are 0 to {}", device, devices - 1);
    cluster.devices[device].alive = false;
  }
  FLEXPERT_TRY(validate(cluster));
  constexpr std::uint64_t kMostLayoutSlots = std::uint64_t{1} << 26;
  if (static_cast<std::uint64_t>(cluster.slots()) * basis.geometry.layers > kMostLayoutSlots)
    return fail(ErrorCode::kResourceExhausted, "{} slots in each of {} layers are more than {}; give fewer with --slots or --devices",
                cluster.slots(), basis.geometry.layers, kMostLayoutSlots);
  return cluster;
}

Result<void> check_room(const ExpertCluster& cluster, ExpertGeometry geometry) {
  const auto living = [](std::uint64_t sum, const ExpertDevice& device) { return sum + (device.alive ? device.slots : 0); };
  const std::uint64_t usable = std::accumulate(cluster.devices.begin(), cluster.devices.end(), std::uint64_t{0}, living);
  if (usable < geometry.experts)
    return fail(ErrorCode::kInvalidArgument, "{} living slots are too few for {} experts of a layer; give more with --slots or --redundant",
                usable, geometry.experts);
  return {};
}

std::optional<ExpertLayout> unbalanced_layout(ExpertGeometry geometry, const ExpertCluster& cluster) {
  ExpertLayout layout;
  layout.geometry = geometry;
  std::uint64_t living = 0;
  for (const ExpertDevice& device : cluster.devices) {
    layout.slots_of_device.push_back(device.slots);
    living += device.alive ? 1 : 0;
  }
  if (living == 0) return std::nullopt;
  std::vector<std::int32_t> row;
  std::uint64_t next = 0;
  std::uint64_t rank = 0;
  for (const ExpertDevice& device : cluster.devices) {
    const std::uint64_t end = device.alive ? geometry.experts * ++rank / living : next;
    if (end - next > device.slots) return std::nullopt;
    for (std::uint32_t slot = 0; slot < device.slots; ++slot) row.push_back(next < end ? static_cast<std::int32_t>(next++) : kEmptySlot);
  }
  for (std::uint32_t l = 0; l < geometry.layers; ++l) layout.expert_of_slot.insert(layout.expert_of_slot.end(), row.begin(), row.end());
  return layout;
}

}  // namespace flexpert::app
