#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "fleet/expert_slot.h"

namespace flexpert::placement {

/// Per (layer, expert), the indices of the servers that hold it, ascending.
using Positions = std::vector<std::vector<std::uint16_t>>;

/// How many replicas each expert gets is decided elsewhere; where they go is asked.
struct FixedReplicas {
  ExpertGeometry geometry;
  std::vector<std::uint32_t> replicas;  ///< per (layer, expert), at most `servers`; 0: on no server
  std::vector<double> loads;            ///< per (layer, expert); empty or all 0: all alike
  std::uint32_t servers = 0;            ///< at most 65,535, alike
  std::uint32_t slots_per_server = 0;   ///< over all layers
  Positions current;                    ///< empty: nowhere
  std::uint32_t max_moves = 64;         ///< replicas moved for balance alone
  double tolerance = 1;                 ///< no replica is moved for a layer whose busiest server has at most this times the mean
};

struct FixedPlacement {
  Positions positions;
  std::uint32_t added = 0;    ///< replicas on servers that did not hold the expert, without those moved
  std::uint32_t removed = 0;  ///< without those moved
  std::uint32_t moved = 0;    ///< replicas that changed their server
  double imbalance = 1;       ///< mean over the layers with load of busiest server / mean server
  double bound = 1;           ///< proven: no placement of these replicas has a smaller imbalance
};

/// Places replicas: balanced within every layer first, over the whole model second. Promises: no expert twice on a server,
/// no server over its slots, exactly the counts wanted, current positions kept except for removals, at most `max_moves`
/// moves, and those that a full server forces; where nothing is added or removed, no layer's busiest server gets more.
/// The moves go where they gain most per move, over all layers, and are not made for less than a thousandth of a layer's mean. Planned
/// again from its result, with moves left, it changes nothing. Deterministic. Errors: sizes that do not match, a count over the number of
/// servers, counts over the slots of all, a server in `current` that is none, loads that are negative or not finite.
Result<FixedPlacement> place_fixed_replicas(const FixedReplicas& wanted);

/// Returns the mean over the layers with load of busiest server / mean server, 1 without load; `loads` empty or all 0: all alike.
double imbalance_of(const ExpertGeometry& geometry, const Positions& positions, const std::vector<double>& loads, std::uint32_t servers);

/// Returns what imbalance_of() cannot fall below with these counts: a server holds the largest share of a replica, and one of
/// them two of the `servers` + 1 largest.
double imbalance_bound(const ExpertGeometry& geometry, const std::vector<std::uint32_t>& replicas, const std::vector<double>& loads,
                       std::uint32_t servers);

}  // namespace flexpert::placement
