#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "config/fleet_config.h"
#include "engine/expert/pack_file.h"
#include "flexpert/runtime_folder.h"

namespace flexpert::app {

/// Packs the experts of the checkpoint in `model_folder` into `path`, with a progress bar on stderr.
Result<void> make_pack(const std::string& model_folder, const std::string& path);
/// Returns the pack at `path`, which is made first if it is missing, broken, or of another model than `model_folder`.
Result<std::shared_ptr<const engine::PackFile>> open_or_make_pack(const std::string& model_folder, const std::string& path);

/// Returns where the pack of `model` lies: where the configuration says, or else in the runtime folder.
std::string runtime_pack_path(const RuntimeFolder& folder, const config::ModelConfig& model);

}  // namespace flexpert::app
