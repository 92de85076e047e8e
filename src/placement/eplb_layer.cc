#include "placement/eplb_layer.h"

#include <algorithm>
#include <numeric>

namespace flexpert::placement {

EplbLayer::EplbLayer(std::uint32_t experts, const EplbShape& shape)
    : groups_(shape.groups % shape.nodes == 0 ? shape.groups : 1),
      nodes_(shape.groups % shape.nodes == 0 ? shape.nodes : 1),
      devices_of_node_(shape.devices / nodes_),
      experts_of_node_(experts / nodes_),
      replicas_of_node_(shape.replicas / nodes_),
      loads_(experts),
      group_loads_(groups_),
      place_of_group_(groups_),
      expert_at_(experts),
      node_loads_(experts_of_node_),
      expert_of_(replicas_of_node_),
      copies_(experts_of_node_),
      shares_(replicas_of_node_),
      place_of_replica_(replicas_of_node_),
      keys_(std::max({groups_, replicas_of_node_, experts_of_node_})),
      pack_loads_(std::max(nodes_, devices_of_node_)),
      pack_items_(pack_loads_.size()),
      pack_keys_(pack_loads_.size()),
      heaviest_(experts_of_node_),
      lightest_(static_cast<std::uint32_t>(pack_loads_.size())) {}

/// Items in descending weight, each to the lightest pack that still has room; place = pack * room + rank in the pack.
void EplbLayer::pack(std::span<const float> weights, std::uint32_t packs, std::span<std::uint32_t> place_of) {
  const auto items = static_cast<std::uint32_t>(weights.size());
  const std::uint32_t room = items / packs;
  if (room == 1) {
    std::iota(place_of.begin(), place_of.end(), 0U);
    return;
  }
  const std::span keys = std::span(keys_).first(items);
  for (std::uint32_t i = 0; i < items; ++i) keys[i] = descending_key(weights[i], i);
  std::sort(keys.begin(), keys.end());
  for (std::uint32_t p = 0; p < packs; ++p) {
    pack_loads_[p] = 0;
    pack_items_[p] = 0;
    pack_keys_[p] = ascending_key(0, p);
  }
  lightest_.start(std::span(pack_keys_).first(packs));
  for (const std::uint64_t key : keys) {
    const std::uint32_t item = index_of(key);
    const std::uint32_t into = index_of(lightest_.best());
    place_of[item] = into * room + pack_items_[into]++;
    pack_loads_[into] += weights[item];
    lightest_.change(into, pack_items_[into] < room ? ascending_key(pack_loads_[into], into) : Tournament::kOut);
  }
}

/// The next replica goes to the expert with the largest load / replicas.
void EplbLayer::replicate(std::span<const float> weights, std::uint32_t wanted) {
  const auto experts = static_cast<std::uint32_t>(weights.size());
  for (std::uint32_t e = 0; e < experts; ++e) {
    expert_of_[e] = e;
    copies_[e] = 1;
    keys_[e] = descending_key(weights[e], e);
  }
  heaviest_.start(std::span(keys_).first(experts));
  for (std::uint32_t r = experts; r < wanted; ++r) {
    const std::uint32_t e = index_of(heaviest_.best());
    expert_of_[r] = e;
    heaviest_.change(e, descending_key(weights[e] / static_cast<float>(++copies_[e]), e));
  }
}

void EplbLayer::plan(std::span<const double> loads, std::span<std::int32_t> slots) {
  const auto experts = static_cast<std::uint32_t>(loads.size());
  const std::uint32_t group_size = experts / groups_;
  for (std::uint32_t e = 0; e < experts; ++e) loads_[e] = static_cast<float>(loads[e]) + 0.0F;  // minus zero becomes zero
  for (std::uint32_t g = 0; g < groups_; ++g) {
    float sum = 0;
    for (std::uint32_t e = g * group_size; e < (g + 1) * group_size; ++e) sum += loads_[e];
    group_loads_[g] = sum;
  }
  pack(group_loads_, nodes_, place_of_group_);
  for (std::uint32_t g = 0; g < groups_; ++g)
    std::iota(expert_at_.begin() + place_of_group_[g] * group_size, expert_at_.begin() + (place_of_group_[g] + 1) * group_size,
              g * group_size);

  for (std::uint32_t n = 0; n < nodes_; ++n) {
    const std::span members = std::span(expert_at_).subspan(static_cast<std::size_t>(n) * experts_of_node_, experts_of_node_);
    for (std::uint32_t i = 0; i < experts_of_node_; ++i) node_loads_[i] = loads_[members[i]];
    replicate(node_loads_, replicas_of_node_);
    for (std::uint32_t r = 0; r < replicas_of_node_; ++r)
      shares_[r] = node_loads_[expert_of_[r]] / static_cast<float>(copies_[expert_of_[r]]);
    pack(shares_, devices_of_node_, place_of_replica_);
    const auto of_node = slots.subspan(static_cast<std::size_t>(n) * replicas_of_node_, replicas_of_node_);
    for (std::uint32_t r = 0; r < replicas_of_node_; ++r) of_node[place_of_replica_[r]] = static_cast<std::int32_t>(members[expert_of_[r]]);
  }
}

}  // namespace flexpert::placement
