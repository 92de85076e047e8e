#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"
#include "placement/batch_split.h"

namespace flexpert::placement {

/// One change of a layer: the experts of two slots exchanged, or another expert in a slot.
struct LayerChange {
  std::uint32_t slot = 0;
  std::uint32_t other = 0;  ///< slot to exchange with; the same as `slot`: `expert` takes its place
  std::int32_t expert = 0;
  double gain = 0;          ///< of the layer's cost

  [[nodiscard]] std::uint32_t slots() const { return slot == other ? 1 : 2; }
  [[nodiscard]] double gain_per_slot() const { return gain / slots(); }
};

/// A layer's slots under several loads that are split ideally over replicas. Its cost is the weighted mean of max/mean.
class RebalanceLayer {
 public:
  struct Case {
    std::vector<std::uint32_t> rows;  ///< of every expert
    double weight = 1;                ///< of all cases together: 1
  };
  RebalanceLayer(std::span<const std::int32_t> expert_of_slot, std::uint32_t experts, const ExpertCluster& cluster,
                 std::vector<Case> cases);

  /// Returns the change that gains most for a slot, at least `least_gain`; nothing without one.
  std::optional<LayerChange> best_change(double least_gain);
  void apply(const LayerChange& change);
  [[nodiscard]] double cost() const { return cost_; }
  /// Returns the weighted mean of mean/max.
  [[nodiscard]] double balancedness() const { return balancedness_; }
  [[nodiscard]] std::span<const std::int32_t> slots() const { return slots_; }

 private:
  /// Where a case's load is stuck: the devices that its busiest one can reach by shifting rows, itself among them.
  struct Bottleneck {
    std::vector<std::uint8_t> holds;      // [devices]
    std::vector<std::uint32_t> outside;   // [experts]: replicas on other devices
    double per_row = 0;                   // cost that a row leaving it saves
    double most = 0;                      // that can be saved
  };
  void find_bottlenecks();
  void find_bottleneck(std::size_t index, BatchSplit& split);
  [[nodiscard]] double cost_of(std::span<const std::int32_t> slots);
  void score_replacements(double least_gain);
  void score_exchanges(double least_gain);
  void keep(const LayerChange& change);
  [[nodiscard]] double score(std::int32_t expert, std::uint32_t from, std::uint32_t to, const Bottleneck& at, const Case& load) const;
  [[nodiscard]] bool on_device(std::int32_t expert, std::uint32_t device) const {
    return replicas_at_[static_cast<std::size_t>(expert) * cluster_->devices.size() + device] != 0;
  }

  const ExpertCluster* cluster_;
  std::uint32_t experts_;
  std::vector<std::int32_t> slots_;
  std::vector<std::uint32_t> device_;       // [slots]
  std::vector<Case> cases_;
  std::vector<double> mean_;                // [cases]: load / living speed
  std::vector<Bottleneck> bottlenecks_;     // [cases]
  std::vector<std::uint8_t> replicas_at_;   // [experts][devices], at most 255 counted
  std::vector<std::uint32_t> replicas_;     // [experts], living
  std::vector<LayerChange> best_;           // highest score first
  std::vector<std::int32_t> trial_;
  std::vector<std::uint32_t> queue_;
  double cost_ = 1;
  double balancedness_ = 1;
};

}  // namespace flexpert::placement
