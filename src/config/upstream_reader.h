#pragma once

#include <string>
#include <vector>

#include "config/fleet_config.h"
#include "config/section_reader.h"

namespace flexpert::config {

/// Reads one entry of `upstreams:`.
void read_upstream(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<UpstreamConfig>& out);

/// Tells whether `text` is a path of a request: begins with /, without blanks and control characters.
bool is_request_path(std::string_view text);

}  // namespace flexpert::config
