#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "engine/expert/pack_file.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::engine {

/// Returns $XDG_CACHE_HOME/flexpert or $HOME/.cache/flexpert.
Result<std::string> default_cache_folder();

/// Returns the path of a checkpoint's pack inside a cache folder. It names the weights and the kernels, so that another
/// model or another build never meets it.
std::string cached_pack_path(const Checkpoint& checkpoint, const std::string& cache_folder);

/// Opens the pack of a checkpoint. With `pack_path`, that file, which must be of this model. Without, the one in
/// `cache_folder` (empty: default_cache_folder()), packing it first if it is missing or damaged. Processes that pack at the
/// same time each write a file of their own; the last rename wins, and all of them hold the same bytes.
Result<std::shared_ptr<const PackFile>> open_pack(const Checkpoint& checkpoint, const std::string& pack_path, const std::string& cache_folder);

}  // namespace flexpert::engine
