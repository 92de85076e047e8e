#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/section_reader.h"
#include "config/yaml_tree.h"

namespace flexpert::config {

/// Returns the line of a path such as "pools[1].policies[0].low", or of the nearest thing around it that the file has.
int line_of_path(const YamlNode& root, std::string_view path);

/// Notes an error of the form "PATH: what; allowed: ..." with the line of its path, `prefix` put in front of the path.
void add_located(const YamlNode& root, ProblemList& problems, std::string_view prefix, const Error& error);

}  // namespace flexpert::config
