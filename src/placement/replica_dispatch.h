#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"
#include "placement/dispatch_policy.h"

namespace flexpert::placement {

/// What an expert server is expected to need, and how much is in front of it.
struct ReplicaLoad {
  bool alive = false;
  double queue_rows = 0;      ///< rows waiting in front of what is dispatched now
  double ns_per_row = 1000;
  double ns_per_expert = 0;   ///< once for every distinct expert of a batch: reading its weights
  double ns_per_batch = 0;    ///< what one more message costs the sender: an endpoint without rows must be better by this
  bool near = false;          ///< on the sender's host
};

/// The rows that one expert has to compute, and which endpoints hold a replica of it.
struct DispatchGroup {
  std::uint32_t rows = 0;
  std::span<const std::uint16_t> replicas;
  std::uint32_t key = 0;  ///< of the expert, the same in every batch; static and round robin go by it
};

/// A run of a group's rows, given to one endpoint.
struct DispatchPiece {
  std::uint32_t group = 0;
  std::uint16_t endpoint = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;

  auto operator<=>(const DispatchPiece&) const = default;
};

/// Chooses the replicas that compute each group of a layer. By policy:
/// - least_loaded: those that are expected to complete the group first. Large groups are split by rows over several
///   replicas when that ends sooner by more than reading the weights again costs.
/// - least_activated_experts: the same without splitting: every expert's weights are read on one server only.
/// - locality_first: the same as least_loaded, among the replicas on the sender's host if there is one.
/// - static: always the same replica, chosen by the expert's key and the seed; the next one while it is not alive.
/// - random, round_robin: row by row over the living replicas, whatever they have to do.
/// Groups without a choice go first, then the larger ones. Deterministic; allocation-free once its buffers have grown.
class ReplicaDispatch {
 public:
  /// `seed`: of random; senders with different ones use different replicas under static.
  explicit ReplicaDispatch(DispatchPolicy policy = DispatchPolicy::kLeastLoaded, std::uint64_t seed = 0)
      : policy_(policy), seed_(seed), rng_(seed) {}

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
  void collect(std::span<const ReplicaLoad> endpoints, const DispatchGroup& group);
  void by_finish(std::uint32_t index, const DispatchGroup& group);
  void deal(const DispatchGroup& group);
  void fix(std::span<const ReplicaLoad> endpoints, const DispatchGroup& group);
  void give_counted(std::uint32_t index);

  DispatchPolicy policy_;
  std::uint64_t seed_;
  Rng rng_;
  std::vector<std::uint32_t> next_;  ///< by key: rows dealt so far, round robin
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
