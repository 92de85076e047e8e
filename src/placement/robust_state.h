#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"
#include "placement/robust.h"

namespace flexpert::placement {

/// What every layer's search works towards.
struct RobustGoal {
  const ExpertCluster* cluster = nullptr;  ///< never null, outlives the search
  std::vector<double> case_weight;         ///< > 0, sum 1
  CaseObjective objective = CaseObjective::kWeightedMean;
  bool spread_hosts = true;
  double affinity_weight = 0;
  bool may_leave_empty = false;            ///< a slot too many on a slow or large device is better left empty
};

/// One layer's slots, and per case the load of each device, kept up to date as slots change. Loads are normalised: in
/// every case with load the mean over living devices (by speed) is 1, so a case's balancedness is 1 / its largest load.
class RobustState {
 public:
  /// A change's effect: a lower pair is better. `value` falls by at least what it says (see exponent()).
  struct Change {
    int faults = 0;
    double value = 0;
  };
  static constexpr std::uint32_t kNoHome = UINT32_MAX;

  RobustState(const RobustGoal& goal, std::uint32_t experts);

  /// Sets the layer: `loads[case]` has a number per expert; `home` a node per expert or kNoHome, empty without affinity.
  void begin(std::span<const std::span<const double>> loads, std::span<const std::uint32_t> home);
  /// Sets all slots; those of dead devices must be empty.
  void place(std::span<const std::int32_t> row);
  /// Sets the exponent 2^log2 of the norm that stands for the largest load: the larger, the nearer, and the fewer devices count.
  void exponent(int log2);

  /// The experts of two slots of different living devices change places.
  [[nodiscard]] Change swapped(std::uint32_t slot, std::uint32_t other) const;
  /// `slot`, on a living device, gets `expert` (or kEmptySlot) instead of what it has, which must have another slot.
  [[nodiscard]] Change replaced(std::uint32_t slot, std::int32_t expert);
  /// Return what the value falls to at the least, cheaply: sums of powers are convex, so their tangent is below them.
  [[nodiscard]] double least_swapped(std::uint32_t slot, std::uint32_t other) const;
  [[nodiscard]] double least_replaced(std::uint32_t slot, std::uint32_t expert) const;
  [[nodiscard]] double least_dropped(std::uint32_t slot) const { return drop_[slot]; }
  void swap(std::uint32_t slot, std::uint32_t other);
  void replace(std::uint32_t slot, std::int32_t expert);

  /// Returns the objective: balancedness by case, weighted or the worst, less what crossing nodes costs.
  [[nodiscard]] double value() const;
  /// Returns replicas that share a device or host although there is another for them.
  [[nodiscard]] int faults() const { return faults_; }
  [[nodiscard]] int faults_of(std::uint32_t expert) const { return fault_[expert]; }
  /// Returns how much a device counts for the largest load, over all devices 1 per case at most.
  [[nodiscard]] double pressure(std::uint32_t device) const;
  /// Returns whether the device has a replica away from its group's home, which costs something.
  [[nodiscard]] bool holds_away(std::uint32_t device) const;
  /// Returns the weighted mean over the cases of the load served outside its home node.
  [[nodiscard]] double cross_share() const { return cross_; }

  [[nodiscard]] std::span<const std::int32_t> row() const { return row_; }
  [[nodiscard]] const std::vector<std::uint32_t>& holders(std::uint32_t expert) const { return holders_[expert]; }
  [[nodiscard]] std::uint32_t replicas(std::int32_t expert) const {
    return static_cast<std::uint32_t>(holders_[static_cast<std::size_t>(expert)].size());
  }
  [[nodiscard]] std::uint32_t device_of(std::uint32_t slot) const { return device_of_[slot]; }
  [[nodiscard]] std::uint32_t first_slot(std::uint32_t device) const { return first_slot_[device]; }
  [[nodiscard]] std::uint32_t devices() const { return static_cast<std::uint32_t>(first_slot_.size() - 1); }
  [[nodiscard]] std::uint32_t slots() const { return first_slot_.back(); }
  [[nodiscard]] bool alive(std::uint32_t device) const { return goal_.cluster->devices[device].alive; }
  [[nodiscard]] bool living_slot(std::uint32_t slot) const { return alive(device_of_[slot]); }
  /// Returns an expert's share of the layer's load, weighted over the cases.
  [[nodiscard]] double share(std::uint32_t expert) const { return share_[expert]; }
  [[nodiscard]] std::uint32_t experts() const { return experts_; }
  [[nodiscard]] const RobustGoal& goal() const { return goal_; }

 private:
  [[nodiscard]] double power(double x) const {
    for (int i = 0; i < log2_; ++i) x *= x;
    return x;
  }
  /// Faults of an expert if its replica in `without` (UINT32_MAX: none) were on device `with` (UINT32_MAX: nowhere).
  [[nodiscard]] int faults_with(std::uint32_t expert, std::uint32_t without, std::uint32_t with) const;
  [[nodiscard]] double outside(std::uint32_t expert) const;  // of its replicas, outside the home node
  void hold(std::uint32_t expert, std::uint32_t slot);
  void release(std::uint32_t expert, std::uint32_t slot);
  void refresh();
  void refresh_tangents();
  /// Of the value at the least, when `load` is added to a device in a case: the power lies above its tangents, here that
  /// at the device's own load and that at the largest.
  [[nodiscard]] double least_added(std::size_t device_case, double load) const {
    const double top = top_[device_case] + top_pull_[device_case] * load;
    const double own = pull_[device_case] * load;
    return top > own ? top : own;
  }

  const RobustGoal& goal_;
  std::uint32_t experts_;
  std::uint32_t cases_;
  std::uint32_t living_hosts_ = 0;
  double speeds_ = 0;
  double loaded_weight_ = 0;            // of the cases that have load in this layer
  std::vector<std::uint32_t> first_slot_;
  std::vector<std::uint32_t> device_of_;
  std::vector<std::uint32_t> node_of_;  // per device
  std::vector<double> load_of_expert_;  // [expert][case]
  std::vector<double> share_;
  std::vector<bool> has_load_;          // per case
  std::vector<std::uint32_t> home_;     // per expert
  std::vector<std::int32_t> row_;
  std::vector<std::vector<std::uint32_t>> holders_;
  std::vector<double> load_;            // [device][case]
  std::vector<double> powered_;         // alongside: (load / reference)^exponent
  std::vector<double> reference_;       // per case: its largest load
  std::vector<double> slope_;           // per case: of the value by a change of its sum of powers
  // What least_swapped() and least_replaced() read.
  std::vector<double> pull_;            // [device][case]: of the value by a change of the device's load before its speed
  std::vector<double> top_;             // [device][case]: from the power to the tangent at the largest load
  std::vector<double> top_pull_;        // [device][case]: that tangent's
  std::vector<double> part_;            // [slot][case]: the load of one replica
  std::vector<double> part_cost_;       // [slot]: of that replica away from home
  std::vector<std::uint32_t> slot_home_;// [slot]
  std::vector<double> drop_;            // [slot]: of the value when its replica goes; infinite for a last one
  std::vector<double> relief_;          // [expert]: of the value at its holders when it gets one more
  std::vector<double> joined_;          // [expert][case]: the load of one replica with one more
  std::vector<int> fault_;              // per expert
  int faults_ = 0;
  double cross_ = 0;
  int log2_ = 6;
  // Scratch of replaced(), faults_with().
  std::vector<double> delta_;           // [device][case]
  std::vector<std::uint32_t> touched_;
  std::vector<bool> is_touched_;
  mutable std::vector<std::uint32_t> on_device_;
  mutable std::vector<std::uint32_t> on_host_;
};

inline double RobustState::least_swapped(std::uint32_t slot, std::uint32_t other) const {
  const std::uint32_t from = device_of_[slot];
  const std::uint32_t to = device_of_[other];
  double out = 0;
  for (std::uint32_t c = 0; c < cases_; ++c) {
    const double moved = part_[slot * cases_ + c] - part_[other * cases_ + c];
    out += least_added(to * cases_ + c, moved) + least_added(from * cases_ + c, -moved);
  }
  if (!home_.empty()) {
    const std::uint32_t leaves = node_of_[from];
    const std::uint32_t enters = node_of_[to];
    if (slot_home_[slot] == leaves) out += leaves == enters ? 0 : part_cost_[slot];
    else if (slot_home_[slot] == enters) out -= part_cost_[slot];
    if (slot_home_[other] == enters) out += leaves == enters ? 0 : part_cost_[other];
    else if (slot_home_[other] == leaves) out -= part_cost_[other];
  }
  return out;
}

inline double RobustState::least_replaced(std::uint32_t slot, std::uint32_t expert) const {
  double out = drop_[slot] - relief_[expert];
  const std::uint32_t device = device_of_[slot];
  for (std::uint32_t c = 0; c < cases_; ++c) {
    const double gone = part_[slot * cases_ + c];
    // drop_ holds the tangent of what goes: here it is that of the difference.
    out += least_added(device * cases_ + c, joined_[expert * cases_ + c] - gone) + pull_[device * cases_ + c] * gone;
  }
  if (!home_.empty() && home_[expert] != kNoHome && home_[expert] != node_of_[device])
    out += goal_.affinity_weight * share_[expert] / static_cast<double>(holders_[expert].size() + 1);
  return out;
}

}  // namespace flexpert::placement
