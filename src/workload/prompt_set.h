#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::workload {

/// Prompts of one kind, such as "code": each is the one user turn of a chat.
struct PromptSet {
  std::string name;
  std::vector<std::string> prompts;  ///< not empty, none of them empty
};

/// Reads `{"name": "code", "about": "...", "prompts": ["...", ...]}`. `source` stands for the file's name in messages.
Result<PromptSet> parse_prompt_set(std::string_view json, std::string_view source);

}  // namespace flexpert::workload
