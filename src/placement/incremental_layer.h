#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// What every layer's search knows of the devices.
struct DeviceTable {
  explicit DeviceTable(const ExpertCluster& cluster);

  std::vector<std::uint32_t> device_of;  ///< per slot
  std::vector<std::uint32_t> first;      ///< slot of each device, and one past the last
  std::vector<double> inverse_speed;
  std::vector<bool> alive;
  double speeds = 0;                     ///< sum over living devices

  [[nodiscard]] std::uint32_t devices() const { return static_cast<std::uint32_t>(inverse_speed.size()); }
  [[nodiscard]] std::uint32_t slots() const { return first.back(); }
};

/// One slot that is given another expert.
struct SlotWrite {
  std::uint32_t slot = 0;
  std::int32_t expert = kEmptySlot;
};

/// How far a layer's search had come: after `writes` writes, `changed` slots differ from the start, and the busiest device
/// has `max_load` times the mean.
struct LayerPoint {
  std::uint32_t writes = 0;
  std::uint32_t changed = 0;
  double max_load = 0;
};

/// Improves one layer slot by slot: each step replaces the expert of one slot or swaps two, takes load off the busiest
/// device, makes no device as busy as that one was, and is the one that lowers the sum over devices of the square of what
/// they have over `threshold` times the mean most per slot changed. No step makes a duplicate on a device. A slot counts
/// as changed only if its device did not hold the expert before.
class IncrementalLayer {
 public:
  explicit IncrementalLayer(const DeviceTable& devices, std::uint32_t experts);

  /// Starts from a layer's slots; those of dead devices must be empty.
  void start(std::span<const double> loads, std::span<const std::int32_t> row);
  /// Returns the experts without a slot, the heaviest first.
  [[nodiscard]] std::vector<std::uint32_t> missing() const;
  /// Gives every expert without a slot an empty one or one of a replicated expert, where it weighs least.
  /// Returns false if there is none.
  bool place_missing();
  /// Returns to the start (after place_missing()) and improves until nothing helps or more than `most_changed` slots
  /// differ. The points have falling max_load.
  void improve(double threshold, std::uint32_t most_changed);

  [[nodiscard]] std::span<const SlotWrite> writes() const { return writes_; }
  [[nodiscard]] std::span<const LayerPoint> points() const { return points_; }
  [[nodiscard]] std::span<const std::int32_t> row() const { return row_; }

 private:
  static constexpr std::uint32_t kNoSlot = UINT32_MAX;
  struct Step {
    double score = 0;
    std::uint32_t size = 0;
    SlotWrite writes[2];
  };
  [[nodiscard]] double excess(double load) const {
    const double over = load - threshold_;
    return over > 0 ? over * over : 0;
  }
  [[nodiscard]] std::uint8_t& held(std::uint32_t device, std::uint32_t expert) {
    return held_[static_cast<std::size_t>(device) * experts_ + expert];
  }
  [[nodiscard]] std::uint8_t& held_at_start(std::uint32_t device, std::uint32_t expert) {
    return held_at_start_[static_cast<std::size_t>(device) * experts_ + expert];
  }
  [[nodiscard]] int change_by_leaving(std::uint32_t device, std::int32_t expert);
  [[nodiscard]] int change_by_coming(std::uint32_t device, std::int32_t expert);
  void offer(double gain, int cost, SlotWrite one);
  void reset_to(std::span<const std::int32_t> row);
  void set_replicas(std::uint32_t expert, std::uint32_t replicas);
  void lift(std::uint32_t slot);
  void put(std::uint32_t slot, std::int32_t expert);
  void carry_out(const Step& step);
  void count_changed();
  void look_at_slots();
  [[nodiscard]] bool step();
  /// Where no step helps: gives an expert of the busiest device one more replica whatever that does to the device it goes
  /// to, and goes on from there. Takes all back if that does not get below what was reached before.
  [[nodiscard]] bool pass_hump();
  void note_point();
  void try_swaps(std::uint32_t busiest);
  /// Returns whether the two could be swapped.
  bool try_swap(std::uint32_t busiest, std::uint32_t slot, std::uint32_t device, std::uint32_t other);
  void try_replacing_on(std::uint32_t busiest);
  void try_replicating(std::uint32_t slot);
  [[nodiscard]] std::uint32_t busiest() const;

  const DeviceTable& devices_;
  std::uint32_t experts_;
  double threshold_ = 1;
  double work_ = 0;
  double limit_ = 0;  // that no device which a step touches may exceed
  std::uint32_t kept_ = kNoSlot;  // that a step over a hump must not take back
  double mean_ = 0;
  std::uint32_t changed_ = 0;
  std::vector<double> weight_;         // per expert, in units of the mean device load
  std::vector<double> share_;          // weight / replicas
  std::vector<double> share_more_;     // weight / (replicas + 1)
  std::vector<double> share_fewer_;    // weight / (replicas - 1)
  std::vector<std::uint32_t> replicas_;
  std::vector<std::int32_t> row_;
  std::vector<std::int32_t> first_row_;
  std::vector<std::int32_t> first_of_;  // per expert: its first slot, then next_ along
  std::vector<std::int32_t> next_;
  std::vector<double> load_;            // per device, over speed
  std::vector<double> saved_;           // load_ while something is tried
  std::vector<std::uint8_t> held_;
  std::vector<std::uint8_t> held_at_start_;
  std::vector<std::uint32_t> open_;     // slots that may lose what they hold
  std::vector<double> slot_share_;      // of what each slot holds
  std::vector<std::uint32_t> order_;    // the slots of each device, by rising share
  std::vector<std::uint8_t> foreign_;   // per slot: whether its device did not hold it at the start
  Step best_;
  std::vector<SlotWrite> writes_;
  std::vector<LayerPoint> points_;
};

}  // namespace flexpert::placement
