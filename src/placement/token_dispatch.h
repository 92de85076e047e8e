#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

enum class DispatchPolicy {
  kStatic,                 ///< a rank always uses the same replica: one of its device, its node, else by its number
  kRandom,
  kRoundRobin,
  kLeastLoaded,            ///< the batch's largest device load is made small
  kLeastActivatedExperts,  ///< as few (device, expert) pairs as possible, then least loaded: for memory-bound decode
  kLocalityFirst,          ///< the token's device, then its node, then least loaded
};

/// Returns "static", "random", "round_robin", "least_loaded", "least_activated_experts" or "locality_first".
const char* name_of(DispatchPolicy policy);
Result<DispatchPolicy> parse_dispatch_policy(std::string_view name);

/// Chooses a physical slot for every routed token of a batch in one layer. Allocation-free once made. One thread.
class TokenDispatch {
 public:
  /// Reads layer `layer` of `layout`. Slots of dead devices are not used. Precondition: a valid layout.
  TokenDispatch(const ExpertLayout& layout, std::uint32_t layer, const ExpertCluster& cluster, DispatchPolicy policy, std::uint64_t seed = 1);

  /// `experts`: tokens x top_k logical experts; `source`: the device each token is on (one number a token), or empty: all
  /// on device 0. Writes a slot of the layer for each into `slots`, UINT32_MAX where no living device has the expert.
  void assign(std::span<const std::uint8_t> experts, std::uint32_t top_k, std::span<const std::uint16_t> source, std::span<std::uint32_t> slots);

  /// Returns the tokens that each device got from the newest assign().
  [[nodiscard]] std::span<const std::uint32_t> device_tokens() const { return device_tokens_; }

 private:
  std::vector<std::uint32_t> device_tokens_;
};

}  // namespace flexpert::placement
