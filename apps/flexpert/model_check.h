#pragma once

#include "base/result.h"
#include "config/fleet_config.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::app {

/// Checks what the `model:` section says against the checkpoint itself: that every expert of a group exists.
Result<void> check_against_checkpoint(const config::ModelConfig& model, const engine::Checkpoint& checkpoint);

/// The same for the groups that the policy has of this model.
Result<void> check_against_checkpoint(const auth::PolicyRules& rules, const config::ModelConfig& model,
                                      const engine::Checkpoint& checkpoint);

}  // namespace flexpert::app
