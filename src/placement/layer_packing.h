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
  double tolerance = 0.0005;            ///< over the lower bound: good enough
  double recount_tolerance = 0.003;     ///< replica counts are reconsidered only beyond this
  std::uint64_t comparisons = 400'000;  ///< of exchanges, at most about so many; 100,000 take some 0.2 ms
};

/// Places the replicas of one layer on the devices of a cluster: from scratch, or better than they are. For many layers
/// one after the other: memory is allocated once. Dead devices and slots beyond one of each expert stay empty. Loads of
/// an expert are split evenly over its replicas. Deterministic. One thread.
///
/// How: replicas go one by one to the expert with the largest share; shares in descending order to the least loaded device
/// that has room and has not the expert; then, until the busiest device is close enough to the lower bound, one of its
/// replicas is exchanged with one of another device so that the larger of both loads gets as small as can be. Where no
/// exchange helps, an expert gets a replica at another's expense, exchanges follow, and the result stays if it is better.
class LayerPacking {
 public:
  /// Precondition: validate(cluster); plan() needs a living slot for every expert.
  LayerPacking(const ExpertCluster& cluster, std::uint32_t experts);

  /// The replicas that fit with no two of an expert on one device.
  [[nodiscard]] std::uint32_t room() const { return room_; }

  /// Writes the expert of each slot (those of dead devices too), no expert twice on a device: `replicas` in all, from
  /// `experts` to room(). Precondition: finite loads >= 0, one an expert. Returns the largest device load.
  double plan(std::span<const double> loads, std::uint32_t replicas, std::span<std::int32_t> slots, const PackingEffort& effort = {});

  /// Makes a layout better, and experts that are twice on a device separate, whatever that costs; without such ones it gets
  /// never worse. Empty slots may be used by moving a replica there, but no replica is added. Precondition: each expert in
  /// a living slot, none in a dead one, no device with more slots than experts in use. Returns the largest device load.
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
  /// What the search changes.
  struct State {
    std::vector<std::uint32_t> copies;    ///< per expert
    std::vector<double> share;            ///< load / copies
    std::vector<std::int32_t> expert_at;  ///< per place, kEmptySlot or expert
    std::vector<double> level;            ///< per device, load / speed
    std::vector<std::uint64_t> holds;     ///< [expert][device] bits
  };
  struct Exchange {
    double worse = 0;  ///< the larger load of both devices afterwards
    std::uint32_t device = 0;
    std::uint32_t out = 0;  ///< place of the one device
    std::uint32_t in = 0;   ///< place of the other
  };

  // layer_packing.cc: from loads to a first layout.
  void take(std::span<const double> loads);
  void choose_counts(std::uint32_t replicas);
  void deal();
  void settle(std::uint32_t expert);
  void separate();
  void separate(std::uint32_t device, std::uint32_t place);
  void write(std::span<std::int32_t> slots) const;

  // layer_search.cc: from a layout to a better one.
  void search(const PackingEffort& effort);
  void exchange_all(double goal, std::uint64_t comparisons);
  bool exchange_with_any(std::uint32_t a, double goal);
  void find_exchange(std::uint32_t a, std::uint32_t b, Exchange& best);
  bool recount(double goal, const PackingEffort& effort);
  bool try_recount(std::uint32_t gains, std::uint32_t loses, std::uint32_t device, double goal, std::uint64_t comparisons);
  void set_copies(std::uint32_t expert, std::uint32_t copies);
  void put(std::uint32_t device, std::uint32_t place, std::int32_t expert);
  [[nodiscard]] std::uint32_t busiest() const;
  [[nodiscard]] bool holds(std::uint32_t device, std::int32_t expert) const {
    return expert >= 0 && (now_.holds[static_cast<std::size_t>(expert) * words_ + device / 64] >> (device % 64) & 1) != 0;
  }
  [[nodiscard]] double share_at(std::uint32_t place) const {
    return now_.expert_at[place] < 0 ? 0.0 : now_.share[static_cast<std::size_t>(now_.expert_at[place])];
  }

  std::uint32_t experts_;
  std::uint32_t room_ = 0;
  std::uint32_t words_ = 0;  // of a row of State::holds
  std::vector<Device> devices_;  // those that live and have slots
  MaxLoadBound bound_of_;
  double bound_ = 0;
  std::vector<double> loads_;
  State now_;
  State saved_;
  std::uint64_t compared_ = 0;
  // Memory that is kept from layer to layer.
  std::vector<std::uint32_t> used_;  // per device, places filled by deal()
  std::vector<std::uint64_t> keys_;
  std::vector<std::uint32_t> taken_;
  std::vector<std::uint32_t> unsettled_;
  std::vector<double> in_shares_;
  std::vector<std::uint32_t> in_places_;
  std::vector<std::uint32_t> gaining_;
  std::vector<std::uint32_t> losing_;
  Tournament heaviest_;
  Tournament lightest_;
};

}  // namespace flexpert::placement
