#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fleet/decision.h"
#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// What one policy of a pool said this cycle.
struct NamedProposal {
  std::string name;
  CombineRule rule = CombineRule::kMax;
  Proposal proposal;
};

/// What a pool's policies want together.
struct Combined {
  std::uint32_t wanted = 0;
  std::uint32_t keep = 0;           ///< the least count that leaves `hysteresis` room over what is wanted: >= wanted
  bool may_shrink = true;           ///< false: somebody lacks data, and wanted is at least the current count
  std::string decided_by;           ///< name of the policy that `wanted` comes from; empty: the current count stays
  std::vector<Reason> reasons;      ///< the deciding policy's, then what floors, ceilings and missing data did
  std::vector<Reason> conditions;   ///< of all policies, in their order
};

/// Combines by the declared rules: the largest kMax proposal (none: the current count), raised to the largest floor,
/// lowered to the smallest ceiling. A policy without an opinion counts for nothing, but where any says that it must not
/// shrink, the count does not fall below `current`: only a ceiling whose own policy lacks nothing still lowers it.
/// `hysteresis` is the share of a count that must stay free after a shrink, [0, 1).
Combined combine(std::span<const NamedProposal> proposals, std::uint32_t current, double hysteresis);

}  // namespace flexpert::scaling
