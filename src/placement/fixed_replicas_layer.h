#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace flexpert::placement {

/// A replica that leaves a server for another; a swap is two.
struct ReplicaShift {
  std::uint32_t expert = 0;
  std::uint16_t from = 0;
  std::uint16_t to = 0;
};

/// How far a layer's search had come: after `shifts` shifts, `moved` replicas more than at the start are where they were
/// not, and the busiest server has `max_load` times the mean.
struct ReplicaPoint {
  std::uint32_t shifts = 0;
  std::int64_t moved = 0;
  double max_load = 0;
};

/// By what a step is chosen: how far it lowers the sum over servers of the square of what they have over the mean, or
/// the load of the busier of the two servers. The first gets further in the end, the second often with few moves.
enum class ReplicaGoal { kExcess, kBusier };

/// Improves where one layer's replicas are, their numbers being fixed: each step shifts a replica off the busiest server
/// to one with room, or swaps two, makes no server as busy as that one was, and is the best per replica moved. A replica counts as moved
/// only as far as its expert both came to a server and left one, so that where a new replica goes is free.
class ReplicaLayer {
 public:
  ReplicaLayer(std::uint32_t servers, std::uint32_t experts);

  /// Starts from each expert's servers. `before`: where they were before anything was planned. `room`: replicas that each
  /// server can still take.
  void start(std::span<const double> loads, std::span<const std::vector<std::uint16_t>> positions,
             std::span<const std::vector<std::uint16_t>> before, std::span<const std::uint32_t> room, std::span<const double> total_load);
  /// Goes back to the start, then improves until nothing helps, the busiest server has no more than `tolerance` times the mean, or
  /// `most_moved` more replicas are moved. The points have falling max_load, the first is the start.
  void improve(ReplicaGoal goal, double tolerance, std::int64_t most_moved);

  [[nodiscard]] std::span<const ReplicaShift> shifts() const { return shifts_; }
  [[nodiscard]] std::span<const ReplicaPoint> points() const { return points_; }

 private:
  struct Step {
    double score = 0;
    double total = 0;  // of the server that gets more, over all layers: breaks ties
    std::uint32_t size = 0;
    ReplicaShift shifts[2];
  };
  static double excess(double load) { return load > 1 ? (load - 1) * (load - 1) : 0; }
  [[nodiscard]] std::uint8_t& held(std::uint32_t expert, std::uint32_t server) {
    return held_[static_cast<std::size_t>(expert) * servers_ + server];
  }
  [[nodiscard]] bool was(std::uint32_t expert, std::uint32_t server) const {
    return was_[static_cast<std::size_t>(expert) * servers_ + server] != 0;
  }
  [[nodiscard]] int cost(std::uint32_t expert, std::uint32_t from, std::uint32_t to) const;
  [[nodiscard]] double gain(double high, double low, double shifted) const;
  void offer(double gain, int cost, double total, std::uint32_t size, ReplicaShift one, ReplicaShift two);
  void shift(ReplicaShift one);
  void take_back();
  [[nodiscard]] bool step(std::int64_t left);
  [[nodiscard]] std::uint32_t busiest() const;

  std::uint32_t servers_;
  std::uint32_t experts_;
  std::int64_t moved_ = 0;
  bool loaded_ = false;
  ReplicaGoal goal_ = ReplicaGoal::kExcess;
  std::vector<double> share_;                         // of one replica, in units of the mean server's load
  std::vector<std::int32_t> came_;                    // per expert: servers that it is on and was not
  std::vector<std::int32_t> gone_;
  std::vector<std::uint8_t> held_;                    // [expert][server]
  std::vector<std::uint8_t> was_;
  std::vector<std::vector<std::uint32_t>> on_;        // per server: its experts
  std::vector<double> load_;
  std::vector<std::uint32_t> room_;
  std::span<const double> total_load_;
  Step best_;
  std::vector<ReplicaShift> shifts_;
  std::vector<ReplicaPoint> points_;
};

}  // namespace flexpert::placement
