#pragma once

#include <string>
#include <string_view>

#include "auth/policy_rules.h"
#include "config/section_reader.h"

/// The policy in YAML: roles, groups of experts, tenants. See docs/reference/access.md.
namespace flexpert::config {

/// Reads the keys of a policy into `out`, which may hold groups already (those of `model.groups`). What they say together is
/// checked, too; every problem has its line.
void read_policy(SectionReader& section, ProblemList& problems, auth::PolicyRules& out);

/// Reads a policy file on top of `base`. Errors: as parse().
Result<auth::PolicyRules> parse_policy(const std::string& text, const std::string& source, auth::PolicyRules base = {});
Result<auth::PolicyRules> load_policy_file(const std::string& path, auth::PolicyRules base = {});

/// Tells whether `text` may name a role: up to 64 letters, digits, '.', '_' and '-'.
bool is_role_name(std::string_view text);

}  // namespace flexpert::config
