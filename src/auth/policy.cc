#include "auth/policy.h"

#include <algorithm>

namespace flexpert::auth {
namespace {

/// Tenants come out of tokens, so their number is not ours to bound. Past so many, what was made is forgotten and made anew.
constexpr std::size_t kMostKept = 4096;

std::string key_of(std::string_view tenant, const std::vector<std::string>& roles) {
  std::string key = fmt::format("{}:{}", tenant.size(), tenant);
  for (const std::string& role : roles) fmt::format_to(std::back_inserter(key), " {}:{}", role.size(), role);
  return key;
}

}  // namespace

Policy::Policy(PolicyRules rules, DigestFunction digest) : rules_(std::move(rules)), digest_(digest) {
  for (const Role& role : rules_.roles) roles_.emplace(role.name, role);
  roles_.emplace(kEverythingRole,
                 Role{.name = std::string(kEverythingRole), .models = {"*"}, .expert_groups = {}, .denied_expert_groups = {}, .admin = 0});
  for (const Tenant& tenant : rules_.tenants) tenants_.emplace(tenant.name, tenant);
}

Result<std::shared_ptr<Policy>> Policy::compile(PolicyRules rules, DigestFunction digest) {
  FLEXPERT_TRY(check(rules));
  if (rules.anonymous && rules.anonymous_roles.empty()) rules.anonymous_roles.emplace_back(kEverythingRole);
  if (rules.revision.empty() && digest != nullptr) rules.revision = digest(canonical_text(rules)).substr(0, 16);
  return std::shared_ptr<Policy>(new Policy(std::move(rules), digest));
}

std::shared_ptr<const Grant> Policy::grant(const Identity& identity) {
  static const std::vector<std::string> kNoRoles;
  const bool nobody = identity.credential == Credential::kNone;
  const std::vector<std::string>& named = !nobody ? identity.roles : rules_.anonymous ? rules_.anonymous_roles : kNoRoles;
  std::vector<std::string> roles;
  std::copy_if(named.begin(), named.end(), std::back_inserter(roles), [this](const std::string& role) { return knows_role(role); });
  std::sort(roles.begin(), roles.end());
  roles.erase(std::unique(roles.begin(), roles.end()), roles.end());

  std::string key = key_of(identity.tenant, roles);
  if (const auto made = grants_.find(key); made != grants_.end()) return made->second;

  std::shared_ptr<const ModelRights> models;
  if (const auto made = rights_.find(roles); made != rights_.end()) models = made->second;
  auto grant = std::make_shared<Grant>();
  std::vector<const Role*> held;
  for (const std::string& role : roles) {
    held.push_back(&roles_.find(role)->second);
    grant->admin = static_cast<std::uint8_t>(grant->admin | held.back()->admin);
  }
  if (models == nullptr) {
    models = std::make_shared<const ModelRights>(held, rules_.groups, digest_);
    if (rights_.size() >= kMostKept) rights_.clear();
    rights_.emplace(roles, models);
  }
  const auto tenant = tenants_.find(identity.tenant);
  grant->tenant = tenant == tenants_.end() ? rules_.default_tenant : tenant->second;
  grant->tenant.name = identity.tenant;
  grant->roles = std::move(roles);
  grant->models = std::move(models);
  if (grants_.size() >= kMostKept) grants_.clear();
  return grants_.emplace(std::move(key), std::move(grant)).first->second;
}

GroupDecision Policy::decide(const Grant& grant, std::string_view model, const std::vector<std::string>& requested) const {
  const ModelRight* right = grant.model(model);
  GroupDecision decision;
  for (const std::string& name : requested) {
    const bool known = std::any_of(rules_.groups.begin(), rules_.groups.end(),
                                   [&](const ExpertGroup& group) { return group.model == model && group.name == name; });
    const bool allowed = right != nullptr && std::find(right->groups.begin(), right->groups.end(), name) != right->groups.end();
    (!known ? decision.unknown : allowed ? decision.allowed : decision.dropped).push_back(name);
  }
  return decision;
}

}  // namespace flexpert::auth
