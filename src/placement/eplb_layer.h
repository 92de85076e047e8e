#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "placement/eplb.h"
#include "placement/tournament.h"

namespace flexpert::placement {

/// DeepSeek's EPLB of one layer at a time: what plan_eplb() does, for planners that start from it. Holds the memory that
/// a layer takes, so that none is allocated per layer.
class EplbLayer {
 public:
  /// Precondition: a shape that plan_eplb() takes.
  EplbLayer(std::uint32_t experts, const EplbShape& shape);

  /// Writes the expert of each of the `shape.replicas` slots. Precondition: finite loads >= 0, one an expert.
  void plan(std::span<const double> loads, std::span<std::int32_t> slots);

 private:
  void pack(std::span<const float> weights, std::uint32_t packs, std::span<std::uint32_t> place_of);
  void replicate(std::span<const float> weights, std::uint32_t wanted);

  std::uint32_t groups_;
  std::uint32_t nodes_;
  std::uint32_t devices_of_node_;
  std::uint32_t experts_of_node_;
  std::uint32_t replicas_of_node_;
  std::vector<float> loads_;
  std::vector<float> group_loads_;
  std::vector<std::uint32_t> place_of_group_;   // node * groups a node + rank
  std::vector<std::uint32_t> expert_at_;        // experts in the order of their groups' places
  std::vector<float> node_loads_;               // of the experts of a node, in that order
  std::vector<std::uint32_t> expert_of_;        // per replica of a node, index into node_loads_
  std::vector<std::uint32_t> copies_;
  std::vector<float> shares_;                   // per replica
  std::vector<std::uint32_t> place_of_replica_;
  std::vector<std::uint64_t> keys_;
  std::vector<float> pack_loads_;
  std::vector<std::uint32_t> pack_items_;
  std::vector<std::uint64_t> pack_keys_;
  Tournament heaviest_;
  Tournament lightest_;
};

}  // namespace flexpert::placement
