#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"
#include "placement/max_load_bound.h"
#include "placement/tournament.h"

namespace flexpert::placement {

/// When the search in a layer ends.
struct PackingEffort {
  double tolerance = 0.0015;     ///< over the lower bound: good enough
  std::uint32_t changes = 2000;  ///< of the layout, at most
};

/// Places the replicas of one layer on the devices of a cluster: from scratch, or better than they are. For many layers
/// one after the other: memory is allocated once. Dead devices and slots beyond one of each expert stay empty. Loads of
/// an expert are split evenly over its replicas. Deterministic.
class LayerPacking {
 public:
  /// Precondition: validate(cluster); plan() needs a living slot for every expert.
  LayerPacking(const ExpertCluster& cluster, std::uint32_t experts);

  /// The replicas that fit with no two of an expert on one device.
  [[nodiscard]] std::uint32_t room() const { return room_; }

  /// Writes the expert of each slot (those of dead devices too), no expert twice on a device: `replicas` in all, from
  /// `experts` to room(). Precondition: finite loads >= 0, one an expert. Returns the largest device load.
  double plan(std::span<const double> loads, std::uint32_t replicas, std::span<std::int32_t> slots, const PackingEffort& effort = {});

  /// Exchanges and replaces replicas until nothing better is found; no device gets an expert that it has. Never worse
  /// than before. Precondition: each expert in a living slot, none in a dead one. Returns the largest device load.
  double improve(std::span<const double> loads, std::span<std::int32_t> slots, const PackingEffort& effort = {});

  /// The lower bound of the newest loads.
  [[nodiscard]] double bound() const { return bound_; }

 private:
  struct Device {
    std::uint32_t slot = 0;   ///< its first in the layer
    std::uint32_t first = 0;  ///< of its places
    std::uint32_t room = 0;   ///< places: min(slots, experts)
    double per_speed = 1;
  };
  struct Exchange {
    double worse = 0;  ///< the larger load of both devices afterwards
    std::uint32_t device = 0;
    std::uint32_t out = 0;  ///< place of the busiest device
    std::uint32_t in = 0;   ///< place of the other
  };

  void take(std::span<const double> loads);
  void choose_counts(std::uint32_t replicas);
  void deal();
  void settle(std::uint32_t expert);
  void search(const PackingEffort& effort);
  [[nodiscard]] std::uint32_t busiest() const;
  bool exchange_with_any(std::uint32_t a, double goal);
  void find_exchange(std::uint32_t a, std::uint32_t b, Exchange& best);
  [[nodiscard]] bool holds(std::uint32_t device, std::int32_t expert) const {
    return expert >= 0 && (holds_[static_cast<std::size_t>(expert) * words_ + device / 64] >> (device % 64) & 1) != 0;
  }
  [[nodiscard]] double share_at(std::uint32_t place) const { return expert_at_[place] < 0 ? 0.0 : share_[static_cast<std::size_t>(expert_at_[place])]; }
  void put(std::uint32_t device, std::uint32_t place, std::int32_t expert);
  void clear();
  void write(std::span<std::int32_t> slots) const;

  std::uint32_t experts_;
  std::uint32_t room_ = 0;
  std::uint32_t words_ = 0;              // of a row of holds_
  std::vector<Device> devices_;          // those that live and have slots
  MaxLoadBound bound_of_;
  double bound_ = 0;
  std::vector<double> loads_;            // per expert
  std::vector<std::uint32_t> copies_;
  std::vector<double> share_;            // load / copies
  std::vector<std::int32_t> expert_at_;  // per place, kEmptySlot or expert
  std::vector<double> level_;            // per device, load / speed
  std::vector<std::uint32_t> used_;      // per device, places filled by deal()
  std::vector<std::uint64_t> holds_;     // [expert][device] bits
  std::vector<std::uint64_t> keys_;
  std::vector<std::uint32_t> taken_;
  std::vector<std::uint32_t> unsettled_;
  std::vector<double> in_shares_;
  std::vector<std::uint32_t> in_places_;
  Tournament heaviest_;
  Tournament lightest_;
};

}  // namespace flexpert::placement
