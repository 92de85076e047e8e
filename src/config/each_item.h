#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/section_reader.h"

namespace flexpert::config {

inline std::string item_path(const std::string& list, std::size_t index) { return fmt::format("{}[{}]", list, index); }

/// Calls `read(item, path)` for each item of the list at `key`, if there is one.
template <class Read>
void each_item(SectionReader& section, ProblemList& problems, std::string_view key, std::string_view of_what, Read read) {
  const YamlNode* node = section.value(key);
  if (node == nullptr || node->kind == YamlNode::Kind::kNull) return;
  const std::string path = section.path_of(key);
  if (node->kind != YamlNode::Kind::kSequence)
    return problems.add(node->line, path, fmt::format("{} is given", node->describe()), fmt::format("a list of {}", of_what));
  for (std::size_t i = 0; i < node->items.size(); ++i) read(node->items[i], item_path(path, i));
}

}  // namespace flexpert::config
