#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "fleet/expert_layout.h"
#include "fleet/placement_plan.h"
#include "fleet/routing_table.h"

/// A routing table seen as a placement: how even it is, and what a newer one changes.
namespace flexpert::controller {

/// One replica that a newer table puts elsewhere.
struct ReplicaMove {
  ExpertSlot slot;
  InstanceId from;  ///< loses it; empty: the expert has one replica more
  InstanceId to;    ///< gets it, and reads its weights; empty: the expert has one replica less

  auto operator<=>(const ReplicaMove&) const = default;
};

/// Lists what turns `from` into `to`, by slot, servers known by their ids: where an expert both loses and gains replicas
/// they are paired as moves, in ascending order. Precondition: valid tables of one geometry, or `from` empty.
std::vector<ReplicaMove> moves_between(const RoutingTable& from, const RoutingTable& to);

/// Returns how many of `moves` bring weights to a server.
std::uint64_t arrivals(std::span<const ReplicaMove> moves);

/// Returns the table as a layout: devices are its endpoints, each with as many slots as its fullest layer needs.
ExpertLayout layout_of(const RoutingTable& table);

/// Returns how even the table is under `loads` (one number per slot), each expert's load split evenly over its replicas.
/// What the model server computes itself, for want of a replica, does not count.
Balance balance_of(const RoutingTable& table, std::span<const double> loads);

/// Returns how even the rows are that servers computed: `rows` is [layer][server].
Balance balance_of_rows(const std::vector<std::vector<double>>& rows);

}  // namespace flexpert::controller
