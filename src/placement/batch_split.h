#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"

namespace flexpert::placement {

/// A living slot that serves an expert.
struct Replica {
  std::uint32_t slot = 0;
  std::uint32_t device = 0;
};

/// Splits the rows of a batch over the replicas of one layer. Rows of an expert are alike, so the batch is solved as a
/// whole: experts without a choice first, the others by water-filling, then rows are moved off the busiest device along
/// chains of devices that share experts until there is no such chain. No dispatch of whole rows has a smaller largest
/// device load then (the devices that a search from the busiest reaches have no outside replica for any of their rows, and
/// none of them can take one more). Deterministic. Allocates nothing once made. One thread.
class BatchSplit {
 public:
  /// `expert_of_slot`: a layer's slots, those of device 0 first; slots of dead devices do not serve.
  /// Precondition: as many slots as the cluster has; experts below `experts`.
  BatchSplit(std::span<const std::int32_t> expert_of_slot, std::uint32_t experts, const ExpertCluster& cluster);

  /// Returns an expert's replicas, by slot.
  [[nodiscard]] std::span<const Replica> replicas(std::uint32_t expert) const {
    return std::span(replicas_).subspan(first_[expert], first_[expert + 1] - first_[expert]);
  }
  /// Returns the index of an expert's first replica in shares().
  [[nodiscard]] std::uint32_t first(std::uint32_t expert) const { return first_[expert]; }
  [[nodiscard]] std::uint32_t experts() const { return static_cast<std::uint32_t>(first_.size() - 1); }
  /// Returns the experts that have a choice of replicas.
  [[nodiscard]] std::span<const std::uint32_t> shared() const { return shared_; }
  /// Returns 1 / speed of a device.
  [[nodiscard]] double slowness(std::uint32_t device) const { return slowness_[device]; }

  /// Makes the largest rows / speed of a device as small as it can be. `rows`: one number an expert; those without a
  /// replica are left out.
  void split(std::span<const std::uint32_t> rows);

  /// Returns the rows of every replica in the newest split, in the order of replicas(), expert by expert.
  [[nodiscard]] std::span<const std::uint32_t> shares() const { return share_; }
  [[nodiscard]] std::span<std::uint32_t> shares() { return share_; }
  /// Returns the rows of every device.
  [[nodiscard]] std::span<const std::uint32_t> device_rows() const { return device_rows_; }

 private:
  [[nodiscard]] double load(std::uint32_t device, std::uint32_t more) const {
    return (device_rows_[device] + more) * slowness_[device];
  }
  void fill(std::uint32_t expert, std::uint32_t rows);
  bool relieve_busiest();
  void shift(std::uint32_t from, std::uint32_t to);

  std::vector<double> slowness_;                // [devices]
  std::vector<std::uint32_t> first_;            // [experts + 1]
  std::vector<Replica> replicas_;
  std::vector<std::uint32_t> expert_;           // [replicas]
  std::vector<std::uint32_t> single_;           // experts with one replica
  std::vector<std::uint32_t> shared_;           // experts with more
  std::vector<std::uint32_t> first_at_;         // [devices + 1]: a device's entries in at_
  std::vector<std::uint32_t> at_;               // replicas of shared experts by device

  std::vector<std::uint32_t> share_;            // [replicas]
  std::vector<std::uint32_t> device_rows_;      // [devices]
  std::vector<std::uint32_t> order_;            // shared experts, most rows first
  std::vector<std::uint32_t> by_load_;          // replicas of one expert
  // The search: for each device, the replica that gives a row away and the one that gets it; the devices reached.
  struct Step {
    std::uint32_t gives = 0;
    std::uint32_t gets = 0;
  };
  std::vector<Step> came_by_;
  std::vector<std::uint32_t> reached_in_;       // [devices]: number of the search
  std::uint32_t search_ = 0;
  std::vector<std::uint32_t> queue_;
};

}  // namespace flexpert::placement
