#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "fleet/expert_slot.h"

namespace flexpert {

/// Where an expert server listens ("unix:PATH" or "HOST:PORT").
struct ExpertEndpoint {
  InstanceId id;
  std::string address;

  auto operator<=>(const ExpertEndpoint&) const = default;
};

/// Which expert servers hold a replica of each (layer, expert). Immutable once published; a newer epoch replaces
/// it whole, between two steps of the model server. A slot without replicas is computed by the model server itself.
struct RoutingTable {
  std::uint64_t epoch = 0;
  ExpertGeometry geometry;
  std::vector<ExpertEndpoint> endpoints;
  /// geometry.size() lists of indices into `endpoints`, without duplicates within a list.
  std::vector<std::vector<std::uint16_t>> replicas;

  auto operator<=>(const RoutingTable&) const = default;
};

/// Checks sizes, index ranges and duplicates; the message names the layer and expert at fault.
Result<void> validate(const RoutingTable& table);

}  // namespace flexpert
