#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace flexpert::placement {

/// What an expert server is expected to need, and how much is in front of it.
struct ReplicaLoad {
  bool alive = false;
  double queue_rows = 0;      ///< rows waiting in front of what is dispatched now
  double ns_per_row = 1000;
  double ns_per_expert = 0;   ///< once for every distinct expert of a batch: reading its weights
  double ns_per_batch = 0;    ///< what one more message costs the sender: an endpoint without rows must be better by this
};

/// The rows that one expert has to compute, and which endpoints hold a replica of it.
struct DispatchGroup {
  std::uint32_t rows = 0;
  std::span<const std::uint16_t> replicas;
};

/// A run of a group's rows, given to one endpoint.
struct DispatchPiece {
  std::uint32_t group = 0;
  std::uint16_t endpoint = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;

  auto operator<=>(const DispatchPiece&) const = default;
};

/// Gives each group of a layer to the replicas that are expected to complete it first. Large groups are split by rows
/// over several replicas when that ends sooner by more than reading the weights again costs. Groups without a choice
/// go first, then the larger ones. Deterministic; allocation-free once its buffers have grown.
class ReplicaDispatch {
 public:
  /// Returns the pieces, by group and first row; a group without a live replica has none. Valid until the next call.
  /// `turn` chooses among endpoints that are equally good: count it up, so that none of them gets all the small batches.
  std::span<const DispatchPiece> assign(std::span<const ReplicaLoad> endpoints, std::span<const DispatchGroup> groups,
                                        std::uint64_t turn = 0);

 private:
  struct Candidate {
    std::uint16_t endpoint = 0;
    std::size_t rank = 0;   ///< among equals, the least goes first
    double ready_ns = 0;    ///< when it could begin with rows of this group, its weights read
    double message_ns = 0;  ///< the part of it that is the price of one more message
    double ns_per_row = 0;
    std::uint32_t rows = 0;
  };

  void give(std::uint32_t group, const Candidate& to, std::uint32_t first, std::uint32_t rows);
  void assign_group(std::span<const ReplicaLoad> endpoints, std::uint32_t index, const DispatchGroup& group);

  std::uint64_t turn_ = 0;
  std::vector<double> finish_ns_;
  std::vector<std::uint8_t> used_;  ///< endpoints that have rows already
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> choices_;
  std::vector<Candidate> candidates_;
  std::vector<DispatchPiece> pieces_;
};

/// Learns an expert server's costs from the service times of its batches: time = rows * ns_per_row + distinct experts
/// * ns_per_expert, by least squares with forgetting, neither cost below zero. A stated pace is believed instead.
class ServiceCost {
 public:
  /// `pace_rows_per_s` > 0: the server holds its answers to that speed.
  explicit ServiceCost(double pace_rows_per_s = 0);
  void observe(std::uint32_t rows, std::uint32_t experts, double service_ns);
  [[nodiscard]] double ns_per_row() const { return ns_per_row_; }
  [[nodiscard]] double ns_per_expert() const { return ns_per_expert_; }

 private:
  bool paced_;
  double ns_per_row_ = 1000;
  double ns_per_expert_ = 0;
  // Forgetting sums of products of (rows, experts, time).
  double rr_ = 0, re_ = 0, ee_ = 0, rt_ = 0, et_ = 0;
};

}  // namespace flexpert::placement
