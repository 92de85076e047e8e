#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workload/prompt_set.h"

namespace flexpert::app {

/// Reads a whole file of at most 64 MiB; the message names it.
Result<std::string> read_text_file(const std::string& path);
/// Replaces a file by rename, so that a reader never sees half of it.
Result<void> write_text_file(const std::string& path, std::string_view text);
/// Reads prompt set files, in order.
Result<std::vector<workload::PromptSet>> read_prompt_sets(const std::vector<std::string>& paths);

}  // namespace flexpert::app
