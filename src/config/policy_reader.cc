#include "config/policy_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "auth/policy.h"
#include "config/each_item.h"
#include "config/expert_group_reader.h"

namespace flexpert::config {
namespace {

constexpr std::uint64_t kMost = 1'000'000'000'000;
constexpr std::size_t kLongestName = 256;

/// Calls `read(entry, path)` for each entry of the mapping at `key`, if there is one.
template <class Read>
void each_entry(SectionReader& section, ProblemList& problems, std::string_view key, std::string_view of_what, Read read) {
  const YamlNode* node = section.value(key);
  if (node == nullptr || node->kind == YamlNode::Kind::kNull) return;
  if (node->kind != YamlNode::Kind::kMapping)
    return problems.add(node->line, section.path_of(key), fmt::format("{} is given", node->describe()),
                        fmt::format("a mapping of {}", of_what));
  for (const YamlNode::Entry& entry : node->entries)
    read(entry, fmt::format("{}.{}", section.path_of(key), entry.key.substr(0, kLongestName)));
}

void read_group(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<auth::ExpertGroup>& out) {
  SectionReader section(node, path, problems);
  std::size_t room = kMostGroupedExperts;
  for (const auth::ExpertGroup& other : out) room -= std::min(room, other.slots.size());
  ExpertGroupConfig read = read_expert_group(section, node, problems, room);
  auth::ExpertGroup group{.name = std::move(read.name), .model = {}, .cost = read.cost, .slots = std::move(read.slots)};
  group.level = read.security == "high" ? auth::SecurityLevel::kHigh : auth::SecurityLevel::kStandard;
  section.text("model", group.model);
  section.require("model", "the model whose experts they are, as requests name it");
  section.finish();
  if (group.name.empty() || group.model.empty()) return;
  for (const auth::ExpertGroup& other : out)
    if (other.name == group.name && other.model == group.model)
      section.problem("name", fmt::format("a group {} of model {} is already given", group.name, group.model), "each name once a model");
  out.push_back(std::move(group));
}

void read_admin(SectionReader& section, ProblemList& problems, auth::Role& role) {
  static constexpr std::array<std::pair<std::string_view, auth::AdminRight>, 4> kRights{{{"view", auth::AdminRight::kView},
                                                                                      {"operate", auth::AdminRight::kOperate},
                                                                                      {"keys", auth::AdminRight::kKeys},
                                                                                      {"register", auth::AdminRight::kRegister}}};
  each_item(section, problems, "admin", "view, operate, keys, register", [&](const YamlNode& item, const std::string& path) {
    const auto right = std::find_if(kRights.begin(), kRights.end(),
                                    [&](const auto& known) { return item.kind == YamlNode::Kind::kScalar && known.first == item.text; });
    if (right == kRights.end())
      return problems.add(item.line, path, fmt::format("{} is given", item.describe()), "view, operate, keys, register");
    role.admin = static_cast<std::uint8_t>(role.admin | static_cast<std::uint8_t>(right->second));
  });
}

void check_group_names(SectionReader& section, std::string_view key, const std::vector<std::string>& names,
                       const std::vector<auth::ExpertGroup>& groups) {
  for (const std::string& name : names)
    if (std::none_of(groups.begin(), groups.end(), [&](const auth::ExpertGroup& group) { return group.name == name; }))
      section.problem(key, fmt::format("there is no group {}", name), "names from expert_groups and model.groups");
}

void read_role(const YamlNode::Entry& entry, const std::string& path, ProblemList& problems, auth::PolicyRules& out) {
  auth::Role role{.name = entry.key, .models = {}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 0};
  SectionReader section(entry.value, path, problems);
  section.texts("models", role.models);
  section.texts("expert_groups", role.expert_groups);
  section.texts("denied_expert_groups", role.denied_expert_groups);
  read_admin(section, problems, role);
  section.finish();
  if (!is_role_name(role.name))
    return problems.add(entry.line, path, "this cannot name a role", "up to 64 letters, digits, '.', '_' and '-'");
  if (role.name == auth::kEverythingRole) return problems.add(entry.line, path, "this role is built in", "another name");
  for (const std::string& pattern : role.models)
    if (pattern.find('*') < pattern.size() - 1)
      section.problem("models", fmt::format("\"{}\" has a * that is not at its end", pattern), "NAME, PREFIX* or *");
  check_group_names(section, "expert_groups", role.expert_groups, out.groups);
  check_group_names(section, "denied_expert_groups", role.denied_expert_groups, out.groups);
  out.roles.push_back(std::move(role));
}

void read_tenant(const YamlNode& node, const std::string& path, ProblemList& problems, auth::Tenant& out) {
  SectionReader section(node, path, problems);
  section.amount("requests_per_minute", 0, kMost, out.limits.requests_per_minute);
  section.amount("tokens_per_minute", 0, kMost, out.limits.tokens_per_minute);
  section.count("concurrency", 0, 10'000'000, out.limits.concurrency);
  section.count("queued", 0, 10'000'000, out.limits.queued);
  section.amount("max_tokens", 0, kMost, out.limits.max_tokens);
  std::string priority = "standard";
  section.choice("priority", {"critical", "standard", "sheddable"}, priority);
  out.priority = priority == "critical"    ? auth::PriorityClass::kCritical
                 : priority == "sheddable" ? auth::PriorityClass::kSheddable
                                           : auth::PriorityClass::kStandard;
  section.number("weight", {0, 1e6, true}, out.weight);
  section.finish();
}

}  // namespace

bool is_role_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), allowed);
}

void read_policy(SectionReader& section, ProblemList& problems, auth::PolicyRules& out) {
  each_item(section, problems, "expert_groups", "expert groups",
            [&](const YamlNode& item, const std::string& path) { read_group(item, path, problems, out.groups); });
  each_entry(section, problems, "roles", "role to rights",
             [&](const YamlNode::Entry& entry, const std::string& path) { read_role(entry, path, problems, out); });
  each_entry(section, problems, "tenants", "tenant to limits", [&](const YamlNode::Entry& entry, const std::string& path) {
    auth::Tenant tenant{.name = entry.key, .limits = {}};
    read_tenant(entry.value, path, problems, tenant);
    const bool odd =
        std::any_of(entry.key.begin(), entry.key.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (odd || entry.key.size() > kLongestName)
      return problems.add(entry.line, path, "this cannot name a tenant", "up to 256 bytes without control characters");
    out.tenants.push_back(std::move(tenant));
  });
  if (const YamlNode* node = section.value("default_tenant"))
    read_tenant(*node, section.path_of("default_tenant"), problems, out.default_tenant);
}

Result<auth::PolicyRules> parse_policy(const std::string& text, const std::string& source, auth::PolicyRules base) {
  FLEXPERT_ASSIGN(const YamlNode root, parse_yaml(text, source));
  ProblemList problems(source);
  SectionReader section(root, "", problems);
  read_policy(section, problems, base);
  section.finish();
  if (!problems.empty()) return fail(problems.to_error());
  if (const auto checked = auth::check(base); !checked) return fail(checked.error().with_context(source + ":1"));
  return base;
}

Result<auth::PolicyRules> load_policy_file(const std::string& path, auth::PolicyRules base) {
  FLEXPERT_ASSIGN(const std::string text, read_yaml_file(path));
  return parse_policy(text, path, std::move(base));
}

}  // namespace flexpert::config
