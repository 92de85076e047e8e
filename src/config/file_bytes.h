#pragma once

#include <string>

#include "base/result.h"

namespace flexpert::config {

/// Reads a whole regular file of at most 64 MiB. Errors: kNotFound, or kInvalidArgument for one that is larger.
Result<std::string> read_file_bytes(const std::string& path);

}  // namespace flexpert::config
