#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// One layer after a loss. Made once, used for layer after layer.
class RecoveryLayer {
 public:
  RecoveryLayer(const ExpertCluster& cluster, std::uint32_t experts);

  /// Takes a layer as it was: `row` with the dead devices' slots still in it.
  void begin(std::span<const std::int32_t> row, std::span<const double> loads);
  /// Gives every expert without a living replica a slot, the heaviest first, while there are slots.
  void serve_orphans();
  /// Changes up to `slots` slots for balance.
  void balance(std::uint32_t slots);

  [[nodiscard]] std::span<const std::int32_t> row() const { return row_; }
  /// Experts without a living replica at begin(), ascending.
  [[nodiscard]] const std::vector<std::uint32_t>& orphans() const { return orphans_; }
  [[nodiscard]] bool served(std::uint32_t expert) const { return replicas_[expert] > 0; }
  /// Returns served load / living speeds / largest load; negative without load.
  [[nodiscard]] double balancedness() const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// What `slot` would bring about with `expert` in it: the largest load among the devices that rise, or one of them
  /// that is `enough`.
  [[nodiscard]] double largest_if(std::uint32_t slot, std::uint32_t expert, double enough) const;
  [[nodiscard]] bool redundant(std::uint32_t slot) const {
    return row_[slot] == kEmptySlot || replicas_[static_cast<std::size_t>(row_[slot])] > needed_[static_cast<std::size_t>(row_[slot])];
  }
  /// Whether `expert` may go to `device`: no other replica of it there or on its host, `leaving` aside.
  [[nodiscard]] bool apart(std::uint32_t expert, std::uint32_t device, std::uint32_t leaving) const;
  /// Lists the least loaded devices in order_.
  void find_partners();
  void set(std::uint32_t slot, std::int32_t expert);
  void choose_served();
  /// Lists living slots that another expert may take, but for those of device `but_on`.
  void collect_spares(std::uint32_t but_on);
  void refresh_loads();
  [[nodiscard]] double part(std::int32_t expert) const {
    return expert == kEmptySlot ? 0 : share_[static_cast<std::size_t>(expert)];
  }

  const ExpertCluster& cluster_;
  std::span<const double> loads_;                 // per expert
  std::vector<std::uint32_t> living_slots_;
  std::vector<std::uint32_t> first_slot_;         // per device, and the end
  std::vector<std::uint32_t> device_of_;          // per slot
  std::vector<std::uint32_t> living_;             // devices with slots
  std::vector<double> per_load_;                  // per device: 1 / speed
  double speeds_ = 0;
  std::vector<std::int32_t> row_;
  std::vector<std::uint32_t> replicas_;           // per expert, living
  std::vector<double> share_;                     // per expert: load / replicas
  std::vector<std::uint32_t> first_holder_;       // per expert: a list of its slots through next_
  std::vector<std::uint32_t> next_;               // per slot
  std::vector<std::uint32_t> needed_;             // per expert: 1 if it has to be served
  std::vector<double> load_;                      // per device
  std::vector<std::uint32_t> orphans_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> spare_;
};

inline double RecoveryLayer::largest_if(std::uint32_t slot, std::uint32_t expert, double enough) const {
  const std::uint32_t device = device_of_[slot];
  const std::int32_t old = row_[slot];
  double largest = load_[device] + (loads_[expert] / (replicas_[expert] + 1) - part(old)) * per_load_[device];
  if (largest >= enough || old == kEmptySlot || replicas_[static_cast<std::size_t>(old)] < 2) return largest;
  const double count = replicas_[static_cast<std::size_t>(old)];
  const double more = loads_[static_cast<std::size_t>(old)] / (count * (count - 1));
  for (std::uint32_t s = first_holder_[static_cast<std::size_t>(old)]; s != kNone; s = next_[s])
    if (s != slot) largest = std::max(largest, load_[device_of_[s]] + more * per_load_[device_of_[s]]);
  return largest;
}

}  // namespace flexpert::placement
