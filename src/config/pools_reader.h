#pragma once

#include <optional>

#include "config/pools_config.h"
#include "config/section_reader.h"
#include "config/yaml_tree.h"

namespace flexpert::config {

/// Reads the sections `planner:` and `pools:` of a file; `root` is the whole document, for the lines of what
/// scaling::validate() finds. Absent pools leave `out` empty.
void read_pools(SectionReader& file, const YamlNode& root, ProblemList& problems, std::optional<PoolsConfig>& out);

}  // namespace flexpert::config
