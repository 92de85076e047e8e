#pragma once

#include <string>
#include <vector>

#include "auth/access_token.h"

namespace flexpert::auth {

/// `kStandard` groups are for everybody; `kHigh` ones for principals that name them.
enum class SecurityLevel { kStandard, kHigh };

struct GroupPolicy {
  std::string name;
  SecurityLevel level = SecurityLevel::kStandard;
};

/// What became of each requested group, in the order of the request.
struct GroupDecision {
  std::vector<std::string> allowed;
  std::vector<std::string> dropped;  ///< known, but not for this principal
  std::vector<std::string> unknown;  ///< no such group

  /// Tells that nothing of what was asked for may be used.
  [[nodiscard]] bool refused() const { return allowed.empty(); }
};

/// Decides which of the `requested` groups `principal` may use. Each requested name lands in exactly one list.
GroupDecision authorise(const Principal& principal, const std::vector<GroupPolicy>& groups, const std::vector<std::string>& requested);

}  // namespace flexpert::auth
