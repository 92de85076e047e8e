#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "fleet/decision.h"
#include "fleet/expert_slot.h"
#include "placement/fixed_replicas.h"

/// Which server holds which replica of which expert. A layer is finished when its slowest server is, so load is
/// balanced within every layer first, and over the whole model second.
namespace flexpert::placement {

struct ExpertPlacementInput {
  ExpertGeometry geometry;
  std::vector<std::uint32_t> replicas;  ///< wanted per slot; 0 leaves a slot to the model server
  std::vector<double> rows_per_s;       ///< measured per slot; empty: all alike
  std::uint32_t servers = 0;            ///< to place on, at most 65,535
  std::uint32_t slots_per_server = 0;
  Positions current;                    ///< where replicas are now, as indices below `servers`; empty: nowhere
  std::uint32_t max_moves = 64;         ///< replicas moved for balance alone
  double tolerance = 1.15;              ///< a layer whose busiest server has at most this times the mean is left alone
};

/// A slot that got fewer replicas than wanted.
struct Trim {
  ExpertSlot slot;
  std::uint32_t wanted = 0;
  std::uint32_t placed = 0;
  Reason reason;  ///< "few_servers" (no two on one server) or "few_slots"
};

struct ExpertPlacement {
  Positions positions;
  std::vector<Trim> trimmed;
  std::uint32_t added = 0;    ///< replicas on servers that did not hold the slot, without those moved
  std::uint32_t removed = 0;  ///< without those moved
  std::uint32_t moved = 0;    ///< replicas that changed their server
  double imbalance = 1;       ///< mean over the layers of busiest server / mean server, by load
  double bound = 1;           ///< proven: no placement of these replicas has a smaller imbalance
};

/// Lowers the counts until they fit the servers, then place_fixed_replicas(): the counts wanted except for `trimmed`, and
/// its promises. Errors: sizes that do not fit together, an index in `current` out of range.
Result<ExpertPlacement> place_experts(const ExpertPlacementInput& input);

}  // namespace flexpert::placement
