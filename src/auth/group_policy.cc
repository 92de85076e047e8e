#include "auth/group_policy.h"

#include <algorithm>

namespace flexpert::auth {

GroupDecision authorise(const Principal& principal, const std::vector<GroupPolicy>& groups, const std::vector<std::string>& requested) {
  GroupDecision decision;
  for (const std::string& name : requested) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const GroupPolicy& known) { return known.name == name; });
    if (group == groups.end()) {
      decision.unknown.push_back(name);
    } else if (group->level == SecurityLevel::kStandard ||
               (!principal.anonymous() && std::find(principal.groups.begin(), principal.groups.end(), name) != principal.groups.end())) {
      decision.allowed.push_back(name);
    } else {
      decision.dropped.push_back(name);
    }
  }
  return decision;
}

}  // namespace flexpert::auth
