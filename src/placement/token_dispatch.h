#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"
#include "placement/batch_split.h"
#include "placement/dispatch_policy.h"

namespace flexpert::placement {

/// Chooses a physical slot for every routed token of a batch in one layer. Allocates nothing once made. One thread.
class TokenDispatch {
 public:
  /// Reads layer `layer` of `layout`. Slots of dead devices are not used. Precondition: a valid layout of the cluster's slots.
  TokenDispatch(const ExpertLayout& layout, std::uint32_t layer, const ExpertCluster& cluster, DispatchPolicy policy,
                std::uint64_t seed = 1);

  /// `experts`: tokens x top_k logical experts; `source`: the device each token is on (one number below the devices' a
  /// token), or empty: all on device 0. Writes a slot of the layer for each into `slots`, UINT32_MAX where no living
  /// device has the expert (or there is no such expert). Least loaded treats the rows of an expert as interchangeable,
  /// and hands a row to its own device where that changes no load.
  void assign(std::span<const std::uint8_t> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
              std::span<std::uint32_t> slots);
  /// The same for models with more than 256 experts.
  void assign(std::span<const std::uint16_t> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
              std::span<std::uint32_t> slots);

  /// Returns the tokens that each device got from the newest assign().
  [[nodiscard]] std::span<const std::uint32_t> device_tokens() const { return device_tokens_; }
  [[nodiscard]] DispatchPolicy policy() const { return policy_; }

 private:
  template <typename Expert>
  void assign_as(std::span<const Expert> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
                 std::span<std::uint32_t> slots);
  template <typename Expert>
  void count(std::span<const Expert> experts);
  template <typename Expert>
  void hand_out(std::span<const Expert> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
                std::span<std::uint32_t> slots);
  template <typename Expert>
  void place_near(std::span<const Expert> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
                  std::span<std::uint32_t> slots);

  [[nodiscard]] std::uint32_t fixed_replica(std::uint32_t source, std::uint32_t expert) const;
  [[nodiscard]] double load_with_one_more(std::uint32_t device) const { return (device_tokens_[device] + 1) * split_.slowness(device); }
  void give(const Replica& replica, std::uint32_t& slot) {
    slot = replica.slot;
    ++device_tokens_[replica.device];
  }
  void activate_few();
  bool move_experts_off_busiest();

  DispatchPolicy policy_;
  BatchSplit split_;
  Rng rng_;
  std::vector<std::uint32_t> node_;           // [devices]
  std::vector<std::uint32_t> device_tokens_;  // [devices]
  std::vector<std::uint32_t> rows_;           // [experts], of the batch
  std::vector<std::uint32_t> turn_;           // [experts]: the next replica, round robin and handing out
  std::vector<std::uint32_t> fixed_;          // [devices][experts]: static
  std::vector<std::uint32_t> chosen_;         // [experts]: least activated
  std::vector<std::uint32_t> active_;         // [devices]: activated experts
};

}  // namespace flexpert::placement
