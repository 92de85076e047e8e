#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/expert/batch_frame.h"
#include "engine/expert/expert_link.h"
#include "placement/replica_dispatch.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

struct RemoteMetrics {
  explicit RemoteMetrics(telemetry::Registry& registry)
      : batches(registry.counter("flexpert_remote_experts_batches_total", "Batches answered by expert servers.")),
        rows(registry.counter("flexpert_remote_experts_rows_total", "Expert rows computed by expert servers.")),
        local_rows(registry.counter("flexpert_remote_experts_local_rows_total", "Expert rows computed here because the table has no replica.")),
        fallback_rows(registry.counter("flexpert_remote_experts_fallback_rows_total", "Expert rows computed here because no replica was usable.")),
        restricted_remote(restricted(registry, "remote")),
        restricted_local(restricted(registry, "in_process")),
        failures(registry.counter("flexpert_remote_experts_failures_total", "Connections to expert servers lost.")),
        hedged(registry.counter("flexpert_remote_experts_hedged_total", "Batches done elsewhere because the server's answer was overdue.")),
        reconnects(registry.counter("flexpert_remote_experts_reconnects_total", "Connections made anew after a failure.")),
        refused(registry.counter("flexpert_remote_experts_refused_total", "Hellos that ended in a refusal.")),
        epoch(registry.gauge("flexpert_remote_experts_epoch", "Epoch of the routing table in use.")),
        live(registry.gauge("flexpert_remote_experts_live_endpoints", "Expert servers connected.")),
        paced(registry.gauge("flexpert_remote_experts_paced_endpoints", "Expert servers connected that hold answers to a stated speed.")),
        suspects(registry.gauge("flexpert_remote_experts_suspect_endpoints", "Expert servers connected that do not answer.")),
        stall(registry.histogram("flexpert_remote_experts_stall_seconds",
                                 "Time from the loss of a server to the end of the layer that lost it.",
                                 {50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30})) {}

  static telemetry::Counter restricted(telemetry::Registry& registry, const char* where) {
    return registry.counter("flexpert_restricted_expert_rows_total",
                            "Expert rows computed for requests that must not use every expert; each was checked where it was computed or sent.",
                            {{"where", where}});
  }

  telemetry::Counter batches, rows, local_rows, fallback_rows, restricted_remote, restricted_local, failures, hedged, reconnects, refused;
  telemetry::Gauge epoch, live, paced, suspects;
  telemetry::Histogram stall;
};

/// A batch that a server has not answered yet. When it is overdue it moves to RemotePeer::overdue, without its shares.
struct Outstanding {
  std::uint64_t correlation = 0;
  std::vector<BatchShare> shares;
  std::uint32_t assignments = 0;
  std::uint32_t experts = 0;
  TimePoint sent_at;
  TimePoint late_at;   ///< from here on its work is done elsewhere
  TimePoint deadline;  ///< from here on the connection is given up
};

/// What a model server knows of one expert server.
struct RemotePeer {
  RemotePeer(const ExpertEndpoint& endpoint, const expert_protocol::Hello& hello, Duration connect_timeout)
      : link(endpoint, hello, connect_timeout) {}

  /// Tells whether work may be sent to it.
  [[nodiscard]] bool usable() const { return link.live() && overdue.empty(); }
  /// Tells when `sent` is late: a server that is heard of while it works on a long answer is not hung.
  [[nodiscard]] TimePoint late_at(const Outstanding& sent, Duration patience) const { return std::max(sent.late_at, heard_at + patience); }
  /// Tells when a sign of life is to be asked for: others may have filled the queue of a paced server. Never without work.
  [[nodiscard]] TimePoint ask_at(Duration patience) const {
    if (outstanding.empty()) return TimePoint::max();
    return std::max({outstanding.front().sent_at, heard_at, asked_at}) + patience / 2;
  }
  /// Returns how many rows are expected in front of a batch that is sent now.
  [[nodiscard]] double queue_at(TimePoint now) const {
    double queue = std::max(0.0, queue_rows - to_seconds(now - queue_seen) * 1e9 / cost.ns_per_row());
    for (const Outstanding& sent : outstanding) queue += sent.assignments;
    return queue;
  }
  /// Returns how long a batch is expected to take by itself.
  [[nodiscard]] Duration expected(std::uint32_t rows, std::uint32_t experts) const {
    return from_seconds(std::min((rows * cost.ns_per_row() + experts * cost.ns_per_expert()) * 1e-9, 60.0));
  }

  ExpertLink link;
  placement::ServiceCost cost;
  double queue_rows = 0;       ///< as the server said last
  TimePoint queue_seen{};
  TimePoint heard_at{};        ///< when the connection last took or gave bytes
  TimePoint asked_at{};        ///< for a sign of life
  bool answered = false;       ///< a batch, on this connection
  std::vector<Outstanding> outstanding;
  std::vector<Outstanding> overdue;  ///< given up; the server is suspect until it has answered them
  std::vector<BatchShare> shares;    ///< being collected for the next batch
  std::vector<ExpertSlot> to_prepare;  ///< slots that it got and has not been told of
  bool was_live = false;
  bool ever_live = false;
  bool counted_paced = false;
  bool counted_suspect = false;
  std::string logged_refusal;
  std::uint64_t refusals = 0;
};

}  // namespace flexpert::engine
