#pragma once

#include <string>
#include <vector>

#include "config/fleet_config.h"
#include "config/section_reader.h"

namespace flexpert::config {

/// Reads what every named group of experts says: name, security, cost, and its experts as `slots`, `layer` with `experts`, or
/// `layers` with `experts`. Problems are noted; further keys and finish() are the caller's.
/// `room`: experts that the file's groups may still name, together; it shrinks.
ExpertGroupConfig read_expert_group(SectionReader& section, const YamlNode& node, ProblemList& problems, std::size_t& room);

/// More experts than any model has, and few enough that a file of 1 MiB cannot fill memory with ranges.
inline constexpr std::size_t kMostGroupedExperts = 1u << 18;

/// Reads one entry of `model.groups`.
void read_model_group(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<ExpertGroupConfig>& out);

}  // namespace flexpert::config
