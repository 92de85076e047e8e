#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"
#include "placement/cut_family.h"

namespace flexpert::placement {

/// Two slots that change places, or one that gets another expert.
struct SlotExchange {
  std::uint32_t slot = 0;
  std::optional<std::uint32_t> with;  ///< the other slot
  std::int32_t expert = 0;            ///< that the slot gets, without `with`
  std::int64_t slots = 0;             ///< by which the slots that differ from the first row become more
  double gain = 0;                    ///< of cost()
};

/// Local search over one layer's slots for the least sum, over windows of load, of the largest device load under free
/// splitting. Exchanges two slots of different devices, or gives a slot of an expert with several replicas (or an empty
/// one) to another expert; never makes two replicas of an expert on a device. With many devices the sum is a bound over
/// a family of device sets, to which the sets that a found layout violates are added until none is left.
class DispatchSearch {
 public:
  /// `row`: the layer's slots; every expert with load has a living one. `loads`: [windows][experts].
  DispatchSearch(std::vector<std::int32_t> row, const ExpertCluster& cluster, std::uint32_t experts, std::vector<double> loads);

  /// Takes every exchange that gains, at most `passes` times over all of them.
  void descend(std::uint32_t passes);
  /// Returns the exchange with the most gain a changed slot that changes at most `most_slots` more; none that gains less
  /// than `least_gain` of cost() a slot.
  std::optional<SlotExchange> best(std::int64_t most_slots, double least_gain);
  void apply(const SlotExchange& exchange);

  [[nodiscard]] std::span<const std::int32_t> row() const { return row_; }
  /// Returns the sum over the windows of the ideal split's largest device load.
  [[nodiscard]] double cost() const { return cost_; }

 private:
  template <typename Visit>
  void each_exchange(Visit&& visit);
  std::size_t changes_of(const SlotExchange& exchange, ReplicaChange (&out)[2]) const;
  [[nodiscard]] std::int64_t slots_of(const SlotExchange& exchange) const;
  void write(const SlotExchange& exchange);
  bool descend_family(std::uint32_t passes);
  double look_closely();

  ExpertCluster cluster_;
  std::uint32_t experts_;
  std::vector<double> loads_;
  std::vector<std::int32_t> row_;
  std::vector<std::int32_t> first_row_;
  std::vector<std::uint32_t> device_of_;
  std::vector<std::uint32_t> living_;    // slots
  std::vector<std::uint32_t> replicas_;  // [experts], living slots
  std::vector<std::uint32_t> loaded_;    // experts with load
  CutFamily family_;
  double cost_ = 0;
};

}  // namespace flexpert::placement
