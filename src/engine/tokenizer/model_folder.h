#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/result.h"

namespace flexpert::engine {

/// Reads a whole regular file of at most `most` bytes; nothing when it does not exist. Errors name the path.
Result<std::optional<std::string>> read_model_file(const std::string& path, std::size_t most);

}  // namespace flexpert::engine
