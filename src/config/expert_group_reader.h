#pragma once

#include <string>
#include <vector>

#include "config/fleet_config.h"
#include "config/section_reader.h"

namespace flexpert::config {

/// Reads what every named group of experts says: name, security, cost, and its experts as `slots`, `layer` with `experts`, or
/// `layers` with `experts`. Problems are noted; further keys and finish() are the caller's.
ExpertGroupConfig read_expert_group(SectionReader& section, const YamlNode& node, ProblemList& problems);

/// Reads one entry of `model.groups`.
void read_model_group(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<ExpertGroupConfig>& out);

}  // namespace flexpert::config
