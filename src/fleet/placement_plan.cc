#include "fleet/placement_plan.h"

namespace flexpert {

const char* name_of(MoveKind kind) {
  switch (kind) {
    case MoveKind::kUnchanged: return "unchanged";
    case MoveKind::kSameDevice: return "same_device";
    case MoveKind::kSameNode: return "same_node";
    case MoveKind::kCrossNode: return "cross_node";
    case MoveKind::kLoad: return "load";
  }
  return "unknown";
}

}  // namespace flexpert
