#include "fleet/decision.h"

namespace flexpert {

const char* name_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::kExpertScaleUp: return "expert_scale_up";
    case ActionKind::kExpertScaleDown: return "expert_scale_down";
    case ActionKind::kServerActivate: return "server_activate";
    case ActionKind::kServerStart: return "server_start";
    case ActionKind::kServerDrain: return "server_drain";
    case ActionKind::kServerStop: return "server_stop";
    case ActionKind::kServerFailed: return "server_failed";
    case ActionKind::kPlacement: return "placement";
  }
  return "unknown";
}

}  // namespace flexpert
