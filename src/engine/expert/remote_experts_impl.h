#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include <poll.h>

#include "engine/expert/group_compute.h"
#include "engine/expert/remote_experts.h"
#include "engine/expert/remote_peer.h"
#include "engine/model/moe_block.h"

namespace flexpert::engine {

namespace wire = expert_protocol;

/// What is behind RemoteExperts: tables, connections in remote_experts.cc, the layers of a step in
/// remote_layer.cc.
struct RemoteExperts::Impl {
  using Peer = RemotePeer;

  Impl(std::shared_ptr<const PackFile> its_pack, ComputePool& pool, RemoteExpertsOptions its_options, telemetry::Registry& registry,
       const Clock& its_clock);

  void run(const ExpertBatch& batch);
  void dispatch(const ExpertBatch& batch);
  void send_batch(const ExpertBatch& batch, Peer& peer);
  void compute_local(const ExpertBatch& batch);
  void poll_links(const ExpertBatch* batch, Duration longest);
  void take_frames(const ExpertBatch* batch, Peer& peer);
  void take_result(const ExpertBatch* batch, Peer& peer, const wire::Frame& frame);
  void lose(Peer& peer, const Error& error);
  void take_back(Outstanding& lost);
  void note_state(Peer& peer);
  [[nodiscard]] placement::ServiceCost first_guess(const Peer& peer) const;
  void maintain();
  void connect_some(Duration longest);
  void note_new_slots(const RoutingTable* before);
  void answer_overdue(Peer& peer, const Outstanding& late, const wire::Frame& frame);
  void hedge(Peer& peer, TimePoint now);
  void ask_silent(TimePoint now);
  void drop_late(TimePoint now);
  [[nodiscard]] bool waiting() const;
  [[nodiscard]] Duration until_deadline(TimePoint now) const;
  [[nodiscard]] std::span<const std::uint16_t> replicas_of(ExpertSlot slot) const;

  std::shared_ptr<const PackFile> pack;
  RemoteExpertsOptions options;
  RemoteMetrics metrics;
  const Clock& clock;
  GroupCompute compute;
  ExpertLoads in_process;  ///< rows computed here
  wire::Hello hello;
  std::shared_ptr<const RoutingTable> table;
  std::atomic<std::uint64_t> epoch{0};
  std::vector<std::unique_ptr<Peer>> peers;  ///< as table->endpoints
  std::uint64_t next_correlation = 1;
  placement::ReplicaDispatch replica_dispatch;
  TimePoint lost_at{};  ///< when this layer first lost a server
  bool lost_any = false;

  // Kept for their memory.
  std::vector<BatchShare> todo;   ///< to be given to a replica or to this process
  std::vector<BatchShare> local;
  std::vector<placement::ReplicaLoad> loads;
  std::vector<placement::DispatchGroup> dispatch_groups;
  std::vector<ComputeGroup> compute_groups;
  BatchFrame batch_frame;
  std::vector<pollfd> poll_fds;
  std::vector<Peer*> polled;
  std::vector<std::vector<BatchShare>> spare_shares;
};

}  // namespace flexpert::engine
