#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"

namespace flexpert::placement {

/// An expert gets or loses a replica. kNoDevice for neither.
struct ReplicaChange {
  static constexpr std::uint32_t kNoDevice = UINT32_MAX;
  std::uint32_t expert = 0;
  std::uint32_t from = kNoDevice;
  std::uint32_t to = kNoDevice;
};

/// One layer's dispatched load under many windows, seen through sets of devices: with free splitting, the largest device
/// load of a window is the largest over all sets of (load that only the set's devices can take) / (their speed). Keeps
/// these numbers for a family of sets, all of them with few devices (then it is exact), else those that were added (then
/// it is a lower bound). Tells what a change of replicas would do, and gives up early where that is no gain.
class CutFamily {
 public:
  /// `holders`: [experts][devices], replicas; `loads`: [windows][experts], row-major. Experts without a replica are left out.
  CutFamily(const ExpertCluster& cluster, std::uint32_t experts, std::vector<std::uint16_t> holders, std::span<const double> loads);

  /// Tells whether the family holds all sets.
  [[nodiscard]] bool exact() const { return exact_; }
  /// Returns the sum over the windows of the largest device load.
  [[nodiscard]] double cost() const { return cost_; }
  /// Returns the largest device load of each window.
  [[nodiscard]] std::span<const float> peaks() const { return std::span(peak_).first(windows_); }
  [[nodiscard]] std::uint32_t replicas_on(std::uint32_t expert, std::uint32_t device) const { return holders_[expert * devices_ + device]; }

  /// Returns cost() after the changes (of at most two experts), or any number >= `limit` if it is not below that.
  [[nodiscard]] double cost_after(std::span<const ReplicaChange> changes, double limit);
  void apply(std::span<const ReplicaChange> changes);
  /// Adds a set (1 for its devices). Returns false if the family has it, or is full.
  bool add(std::span<const std::uint8_t> set);
  /// Brings cost() and peaks() up to date after add().
  void refresh();

 private:
  struct Delta {
    std::uint32_t expert = 0;
    float times = 0;
  };
  [[nodiscard]] int delta_of(const ReplicaChange& change, std::size_t set) const;
  void raise(std::size_t set, std::span<const ReplicaChange> changes);
  void fill_row(std::size_t set);
  [[nodiscard]] double least_after(std::span<const ReplicaChange> changes) const;

  std::uint32_t devices_;
  std::uint32_t experts_;
  std::uint32_t windows_;
  std::uint32_t stride_;                 // windows, rounded up to whole blocks
  bool exact_ = false;
  std::vector<double> speed_;            // [devices], 0 of dead ones
  std::vector<std::uint16_t> holders_;   // [experts][devices]
  std::vector<float> load_;              // [experts][stride]
  std::vector<std::uint8_t> member_;     // [sets][devices]
  std::vector<std::uint16_t> outside_;   // [sets][experts]: devices outside the set that hold the expert
  std::vector<float> row_;               // [sets][stride]: load that only the set can take
  std::vector<float> slowness_;          // [sets]: 1 / speed
  std::vector<std::uint32_t> order_;     // sets, those that are the tightest most often first
  std::size_t tight_ = 0;                // so many of order_ are the tightest in some window
  std::vector<float> weight_;            // [experts][tight]: the expert's load / speed of the set, over the windows where it is
  std::vector<float> peak_;              // [stride]
  std::vector<float> trial_;             // [stride]
  std::vector<float> zeros_;             // [stride]
  double cost_ = 0;
};

}  // namespace flexpert::placement
