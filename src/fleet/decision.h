#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "fleet/expert_slot.h"

namespace flexpert {

/// Why something was done: a stable code for machines, the numbers behind it, and both in a sentence for people.
struct Reason {
  std::string code;
  std::string text;
  std::vector<std::pair<std::string, double>> numbers;

  bool operator==(const Reason&) const = default;
};

enum class ActionKind {
  kExpertScaleUp,    ///< a (layer, expert) gets more replicas: from -> to
  kExpertScaleDown,  ///< a (layer, expert) gets fewer replicas: from -> to
  kServerActivate,   ///< an expert server of the warm pool starts to take work
  kServerStart,      ///< a new process is started
  kServerDrain,      ///< an expert server leaves the routing table and finishes its work
  kServerStop,       ///< a drained server is stopped
  kServerFailed,     ///< a server crashed or never became ready
  kPlacement,        ///< replicas moved: a new routing table
};

/// Returns the stable snake_case name ("expert_scale_up").
const char* name_of(ActionKind kind);

/// One step of a plan. `slot` is meaningful for kExpert*, `instance` for kServer*.
struct Action {
  ActionKind kind = ActionKind::kPlacement;
  ExpertSlot slot;
  InstanceId instance;
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::vector<Reason> reasons;
};

/// What one decision cycle concluded. `acted` is false under dry-run.
struct Decision {
  std::uint64_t cycle = 0;
  std::int64_t unix_ms = 0;
  std::uint64_t epoch = 0;  ///< routing epoch that carries it out; 0 if none
  bool acted = false;
  std::vector<Action> actions;
};

}  // namespace flexpert
