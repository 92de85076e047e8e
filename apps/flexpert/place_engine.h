#pragma once

#include <string>

#include "base/result.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"
#include "net/address.h"

namespace flexpert::app {

/// What a model server counted since it started (GET /internal/expert-loads).
Result<ExpertCounts> engine_counts(const net::Address& address);

/// A layout in force and the names of its devices.
struct EngineLayout {
  ExpertLayout layout;
  std::vector<std::string> devices;
};

/// Reads where the experts are from a controller (GET /api/v1/placement) or a model server (GET /internal/routing-table).
/// A device has as many slots as its fullest layer needs; others leave some empty.
Result<EngineLayout> engine_layout(const net::Address& address);

}  // namespace flexpert::app
