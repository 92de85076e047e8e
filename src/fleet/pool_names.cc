#include "fleet/pool_snapshot.h"
#include "fleet/scale_plan.h"

namespace flexpert {

const char* name_of(PoolRole role) {
  switch (role) {
    case PoolRole::kAggregated: return "aggregated";
    case PoolRole::kPrefill: return "prefill";
    case PoolRole::kDecode: return "decode";
    case PoolRole::kGateway: return "gateway";
  }
  return "unknown";
}

const char* name_of(PoolActionKind kind) {
  switch (kind) {
    case PoolActionKind::kStart: return "start";
    case PoolActionKind::kActivate: return "activate";
    case PoolActionKind::kDrain: return "drain";
    case PoolActionKind::kCancel: return "cancel";
    case PoolActionKind::kResize: return "resize";
  }
  return "unknown";
}

}  // namespace flexpert
