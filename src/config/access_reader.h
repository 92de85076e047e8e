#pragma once

#include <string>
#include <string_view>

#include "config/fleet_config.h"
#include "config/section_reader.h"

namespace flexpert::config {

/// Reads the section `access:` into `out.access`, `out.tokens` and `out.default_route_groups`; `out.model` must have been read.
void read_access(SectionReader& file, ProblemList& problems, FleetConfig& out);

/// Reads `access.policy_file` anew and returns all rules as they are then; without one, those of `config`. Either way groups of
/// `model.groups`, a role for each token, and whether anonymous callers come in, are as `config` says.
Result<auth::PolicyRules> reload_rules(const FleetConfig& config);

/// Returns the name of the role that opens what `access.tokens[]` of that name opens: expert groups, no model. It cannot be the
/// name of a role in a policy file.
std::string token_role(std::string_view token_name);

/// Tells whether `text` is a network as "10.0.0.0/8" or "fd00::/8", without bits behind its prefix.
bool is_network(std::string_view text);

}  // namespace flexpert::config
