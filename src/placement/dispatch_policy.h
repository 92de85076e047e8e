#pragma once

#include <string_view>

#include "base/result.h"

namespace flexpert::placement {

/// How a replica is chosen among those of an expert.
enum class DispatchPolicy {
  kStatic,                 ///< a rank always uses the same replica: one of its device, its node, else by its number
  kRandom,
  kRoundRobin,
  kLeastLoaded,            ///< the batch's largest device load is made as small as these replicas allow
  kLeastActivatedExperts,  ///< as few (device, expert) pairs as possible, spread evenly, then least loaded: for memory-bound decode
  kLocalityFirst,          ///< the token's device, then its node, then least loaded
};

/// Returns "static", "random", "round_robin", "least_loaded", "least_activated_experts" or "locality_first".
const char* name_of(DispatchPolicy policy);
Result<DispatchPolicy> parse_dispatch_policy(std::string_view name);

}  // namespace flexpert::placement
