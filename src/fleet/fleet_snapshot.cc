#include "fleet/fleet_snapshot.h"

namespace flexpert {

const char* name_of(InstanceRole role) {
  switch (role) {
    case InstanceRole::kModelServer: return "model_server";
    case InstanceRole::kExpertServer: return "expert_server";
    case InstanceRole::kUpstream: return "upstream";
    case InstanceRole::kGateway: return "gateway";
  }
  return "unknown";
}

const char* name_of(InstanceState state) {
  switch (state) {
    case InstanceState::kStarting: return "starting";
    case InstanceState::kWarm: return "warm";
    case InstanceState::kReady: return "ready";
    case InstanceState::kDraining: return "draining";
    case InstanceState::kStopped: return "stopped";
    case InstanceState::kFailed: return "failed";
  }
  return "unknown";
}

}  // namespace flexpert
