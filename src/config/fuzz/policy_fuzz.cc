// Any bytes as a policy file: rules that compile, or an error with the file's name, in bounded time and memory.
#include <cstddef>
#include <cstdint>
#include <string>

#include "auth/policy.h"
#include "base/check.h"
#include "config/policy_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto rules = config::parse_policy(text, "fuzz.yaml");
  if (!rules) {
    FLEXPERT_CHECK(rules.error().message.starts_with("fuzz.yaml:"), "an error must name the file");
    return 0;
  }
  const auto policy = auth::Policy::compile(*rules);
  FLEXPERT_CHECK(policy.has_value(), "rules that were read must compile");
  FLEXPERT_CHECK(auth::canonical_text(*rules) == auth::canonical_text((*policy)->rules()) || rules->anonymous, "compiling must not change rules");
  auth::Identity identity{auth::Credential::kApiKey, "key", "t", {"everything"}};
  for (const auth::Role& role : rules->roles) {
    FLEXPERT_CHECK(config::is_role_name(role.name), "a role's name must be checked");
    identity.roles.push_back(role.name);
  }
  const auto grant = (*policy)->grant(identity);
  for (const auth::ExpertGroup& group : rules->groups) {
    const auth::ModelRight* right = grant->model(group.model);
    FLEXPERT_CHECK(right != nullptr, "the role everything has every model");
    const bool denied = !(*policy)->decide(*grant, group.model, {group.name}).dropped.empty();
    for (const ExpertSlot slot : group.slots) FLEXPERT_CHECK(denied || !right->forbidden.contains(slot), "a group that is allowed has no forbidden expert");
  }
  return 0;
}
