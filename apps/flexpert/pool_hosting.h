#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "config/fleet_config.h"
#include "flexpert/runtime_folder.h"
#include "store/leader_lock.h"

namespace flexpert::app {

/// What a controller needs beside a configuration to run its pools.
struct PoolHosting {
  std::string config_text;                   ///< of the configuration's file, for the journal
  std::string config_source;
  std::map<std::string, std::string> packs;  ///< model folder -> pack
  bool instances_survive = false;            ///< a kill of the controller, so that the next one takes them over
};

/// Reads the configuration's text again and makes the packs of the pools' models in the runtime folder, with progress on
/// stderr. Nothing to do without pools. Errors: no such model, no such profile of step times.
Result<PoolHosting> prepare_pools(const config::FleetConfig& config, const std::string& config_path, const RuntimeFolder& folder);

/// Takes the lock by which one controller at a time runs the fleet of a runtime folder. Says who has it and, if `wait`,
/// waits for its end. Errors: kFailedPrecondition if another one has it and `wait` is false.
Result<store::LeaderLock> lead(const RuntimeFolder& folder, bool wait);

}  // namespace flexpert::app
