#include "auth/policy_rules.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "auth/policy.h"

namespace flexpert::auth {
namespace {

bool positive(double value) { return std::isfinite(value) && value > 0; }

Result<void> check_pattern(const std::string& pattern, const std::string& role) {
  if (pattern.empty())
    return fail(ErrorCode::kInvalidArgument, "role {}: a model without a name is given; allowed: NAME, PREFIX* or *", role);
  if (pattern.find('*') < pattern.size() - 1)
    return fail(ErrorCode::kInvalidArgument, "role {}: models: \"{}\" has a * that is not at its end; allowed: NAME, PREFIX* or *", role,
                pattern);
  return {};
}

Result<void> check_groups(const std::vector<ExpertGroup>& groups) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const ExpertGroup& group : groups) {
    if (group.name.empty() || group.model.empty())
      return fail(ErrorCode::kInvalidArgument, "expert group \"{}\" of model \"{}\": a name is missing; give it name and model", group.name,
                  group.model);
    if (!seen.emplace(group.model, group.name).second)
      return fail(ErrorCode::kInvalidArgument, "expert group {} of model {}: given twice; allowed: each name once a model", group.name,
                  group.model);
    if (group.slots.empty())
      return fail(ErrorCode::kInvalidArgument, "expert group {} of model {}: no expert is given; allowed: one or more", group.name,
                  group.model);
    if (!positive(group.cost))
      return fail(ErrorCode::kInvalidArgument, "expert group {} of model {}: cost {} is given; allowed: a number over 0", group.name,
                  group.model, group.cost);
  }
  return {};
}

Result<void> check_role(const Role& role, const std::set<std::string>& groups) {
  for (const std::string& pattern : role.models) FLEXPERT_TRY(check_pattern(pattern, role.name));
  for (const auto* names : {&role.expert_groups, &role.denied_expert_groups})
    for (const std::string& name : *names)
      if (!groups.contains(name))
        return fail(ErrorCode::kInvalidArgument, "role {}: there is no expert group {}; give it in expert_groups or model.groups",
                    role.name, name);
  return {};
}

Result<void> check_tenant(const Tenant& tenant, std::string_view what) {
  if (!positive(tenant.weight))
    return fail(ErrorCode::kInvalidArgument, "{}: weight {} is given; allowed: a number over 0", what, tenant.weight);
  return {};
}

/// Writes fields so that no two lists of fields give the same text: each text has its length before it.
class Writer {
 public:
  Writer& text(std::string_view value) {
    fmt::format_to(std::back_inserter(out_), " {}:{}", value.size(), value);
    return *this;
  }
  template <class Number>
  Writer& number(Number value) {
    fmt::format_to(std::back_inserter(out_), " {}", value);
    return *this;
  }
  Writer& sorted(std::vector<std::string> values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    number(values.size());
    for (const std::string& value : values) text(value);
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string line_of(const ExpertGroup& group) {
  Writer line;
  line.text("group").text(group.model).text(group.name).number(static_cast<int>(group.level)).number(group.cost);
  std::vector<ExpertSlot> slots = group.slots;
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  for (const ExpertSlot slot : slots) line.number(slot.layer).number(slot.expert);
  return line.take();
}

std::string line_of(const Role& role) {
  return Writer()
      .text("role")
      .text(role.name)
      .sorted(role.models)
      .sorted(role.expert_groups)
      .sorted(role.denied_expert_groups)
      .number(role.admin)
      .take();
}

std::string line_of(std::string_view kind, const Tenant& tenant) {
  const TenantLimits& limits = tenant.limits;
  return Writer()
      .text(kind)
      .text(tenant.name)
      .number(limits.requests_per_minute)
      .number(limits.tokens_per_minute)
      .number(limits.concurrency)
      .number(limits.queued)
      .number(limits.max_tokens)
      .number(static_cast<int>(tenant.priority))
      .number(tenant.weight)
      .take();
}

}  // namespace

Result<void> check(const PolicyRules& rules) {
  FLEXPERT_TRY(check_groups(rules.groups));
  std::set<std::string> groups;
  for (const ExpertGroup& group : rules.groups) groups.insert(group.name);

  std::set<std::string> roles{std::string(kEverythingRole)};
  std::set<std::string> admins;
  for (const Role& role : rules.roles) {
    if (role.name.empty()) return fail(ErrorCode::kInvalidArgument, "a role has no name; give it one");
    if (role.name == kEverythingRole)
      return fail(ErrorCode::kInvalidArgument, "role {}: it is built in; give yours another name", role.name);
    if (!roles.insert(role.name).second)
      return fail(ErrorCode::kInvalidArgument, "role {}: given twice; allowed: each name once", role.name);
    FLEXPERT_TRY(check_role(role, groups));
    if (role.admin != 0) admins.insert(role.name);
  }
  for (const std::string& role : rules.anonymous_roles) {
    if (!roles.contains(role)) return fail(ErrorCode::kInvalidArgument, "anonymous_roles: there is no role {}; give it in roles", role);
    if (admins.contains(role))
      return fail(ErrorCode::kInvalidArgument,
                  "anonymous_roles: role {} has admin rights, which nobody has without credentials; name another role", role);
  }

  std::set<std::string> tenants;
  for (const Tenant& tenant : rules.tenants) {
    if (tenant.name.empty()) return fail(ErrorCode::kInvalidArgument, "a tenant has no name; give it one");
    if (!tenants.insert(tenant.name).second)
      return fail(ErrorCode::kInvalidArgument, "tenant {}: given twice; allowed: each name once", tenant.name);
    FLEXPERT_TRY(check_tenant(tenant, "tenant " + tenant.name));
  }
  return check_tenant(rules.default_tenant, "default_tenant");
}

std::string canonical_text(const PolicyRules& rules) {
  std::vector<std::string> lines;
  for (const ExpertGroup& group : rules.groups) lines.push_back(line_of(group));
  for (const Role& role : rules.roles) lines.push_back(line_of(role));
  for (const Tenant& tenant : rules.tenants) lines.push_back(line_of("tenant", tenant));
  lines.push_back(line_of("default_tenant", rules.default_tenant));
  lines.push_back(Writer().text("anonymous").number(rules.anonymous ? 1 : 0).sorted(rules.anonymous_roles).take());
  std::sort(lines.begin(), lines.end());
  std::string text = "policy 1";
  for (const std::string& line : lines) text += '\n' + line;
  return text;
}

}  // namespace flexpert::auth
