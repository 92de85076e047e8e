#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"

namespace flexpert::placement {

/// The best that any dispatch can do with one layer's replicas: how small the largest device load can be when the load of
/// every expert may be split freely over its replicas. This is the min-max of a flow from experts to the devices that hold
/// them; by the min-cut theorem it is also the largest load(S) / speed(devices that hold an expert of S) over all sets S of
/// experts. Keeps its buffers: max_load() allocates nothing. One thread.
class IdealSplit {
 public:
  /// `expert_of_slot`: a layer's slots, those of device 0 first; slots of dead devices do not serve.
  /// Precondition: as many slots as the cluster has; experts below `experts`.
  IdealSplit(std::span<const std::int32_t> expert_of_slot, std::uint32_t experts, const ExpertCluster& cluster);

  /// Returns the smallest largest load / speed of a device. `loads`: one number >= 0 an expert; those without a living
  /// replica are not counted. Exact but for rounding (relative 1e-9).
  double max_load(std::span<const double> loads);

  /// Returns 1 for the devices (of the cluster) whose experts set the newest max_load(): the load of the experts that only
  /// they hold, divided by their speed, is that level. No split gets under it without another replica outside.
  [[nodiscard]] std::span<const std::uint8_t> tight() const { return tight_; }

 private:
  double by_subsets(std::span<const double> loads);
  double by_flow(std::span<const double> loads);
  double augment(std::uint32_t source);
  bool saturate();

  std::vector<double> speed_;              // of living devices, which are numbered anew
  std::vector<std::uint32_t> number_;      // [living devices]: in the cluster
  std::vector<std::uint8_t> tight_;        // [devices of the cluster]
  std::vector<std::uint32_t> first_edge_;  // [experts + 1]: an expert's edges
  std::vector<std::uint32_t> device_;      // [edges], without repeats
  std::vector<std::uint32_t> expert_;      // [edges]
  std::vector<std::uint32_t> first_at_;    // [devices + 1]: a device's entries in at_
  std::vector<std::uint32_t> at_;          // [edges], edges by device
  std::vector<double> subset_;             // [2^devices], few devices
  // The flow, many devices.
  double least_ = 0;                       // amounts up to this are rounding
  std::vector<double> flow_;               // [edges]
  std::vector<double> left_;               // [experts]
  std::vector<double> room_;               // [devices]
  std::vector<std::uint32_t> reached_by_;  // [devices]: the edge that the search came by
  std::vector<std::uint32_t> queue_;       // devices
};

/// The same for a single question.
double ideal_max_load(std::span<const double> loads, std::span<const std::int32_t> expert_of_slot, const ExpertCluster& cluster);

}  // namespace flexpert::placement
