#pragma once

#include <string>
#include <vector>

namespace flexpert::auth {

/// `kStandard` groups are for everybody who may use the model; `kHigh` ones for roles that name them.
enum class SecurityLevel { kStandard, kHigh };

/// What became of each requested group, in the order of the request.
struct GroupDecision {
  std::vector<std::string> allowed;
  std::vector<std::string> dropped;  ///< known, but not for this caller
  std::vector<std::string> unknown;  ///< no such group

  /// Tells that nothing of what was asked for may be used.
  [[nodiscard]] bool refused() const { return allowed.empty(); }
};

}  // namespace flexpert::auth
