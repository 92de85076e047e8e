#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/expert/pack_file.h"
#include "engine/kernels/compute_pool.h"
#include "engine/model/expert_executor.h"
#include "fleet/routing_table.h"
#include "placement/dispatch_policy.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

struct RemoteExpertsOptions {
  std::string model_fingerprint;
  std::uint64_t model_epoch = 0;
  Duration connect_timeout = Milliseconds(500);
  Duration batch_timeout = Seconds(10);  ///< no answer for this long: the connection is given up
  /// A server is never taken for hung before it was silent for this long, nor before eight times what its queue, its
  /// pace and its service times let expect. Then its work is done elsewhere, and it gets no more until it answers.
  Duration least_patience = Milliseconds(200);
  /// Which servers get which rows of an expert that several have (placement/replica_dispatch.h). Tokens do not depend on
  /// it. locality_first prefers servers on this host: Unix sockets and loopback addresses.
  placement::DispatchPolicy expert_dispatch = placement::DispatchPolicy::kLeastLoaded;
  std::uint64_t dispatch_seed = 0;  ///< of random; model servers with different ones use different replicas under static
};

/// Computes experts on expert servers as the routing table says, and in this process (from the pack file) whatever they
/// do not: slots without replicas, servers that died, hung or were refused. Belongs to the engine thread, but for the
/// functions marked "any thread".
class RemoteExperts final : public ExpertExecutor {
 public:
  RemoteExperts(std::shared_ptr<const PackFile> pack, ComputePool& pool, RemoteExpertsOptions options, telemetry::Registry& metrics,
                const Clock& clock);
  ~RemoteExperts() override;

  void begin_step(std::uint64_t step) override;
  void compute(const ExpertBatch& batch) override;

  /// Makes `table` current; called between two steps. Connections to endpoints that are not in it are closed.
  /// Errors: an older epoch (kFailedPrecondition), a wrong geometry (kInvalidArgument).
  Result<void> set_routing_table(std::shared_ptr<const RoutingTable> table);
  /// Returns the epoch of the current table. Any thread.
  [[nodiscard]] std::uint64_t epoch() const;
  /// Returns the rows computed in this process per (layer, expert) since start: geometry().size() counters. Any thread.
  [[nodiscard]] std::vector<std::uint64_t> in_process_rows() const;
  /// Waits until every endpoint of the table is connected, at most `timeout`; returns whether all are. Called between two steps.
  bool wait_connected(Duration timeout);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Computes experts in this process from a pack file. Belongs to the engine thread.
class LocalExperts final : public ExpertExecutor {
 public:
  LocalExperts(std::shared_ptr<const PackFile> pack, ComputePool& pool);
  ~LocalExperts() override;
  void begin_step(std::uint64_t step) override;
  void compute(const ExpertBatch& batch) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::engine
