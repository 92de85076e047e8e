#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "auth/group_policy.h"
#include "base/result.h"
#include "fleet/expert_slot.h"

/// What a policy file says, before it is compiled. Pure values.
namespace flexpert::auth {

/// A named group of experts of one model.
struct ExpertGroup {
  std::string name;
  std::string model;                               ///< the model whose experts they are
  SecurityLevel level = SecurityLevel::kStandard;  ///< kHigh: only for roles that name it
  double cost = 1;                                 ///< what a row through it costs, for load and limits; > 0
  std::vector<ExpertSlot> slots;
};

/// What a principal may do with the gateway itself.
enum class AdminRight : std::uint8_t { kView = 1, kOperate = 2, kKeys = 4, kRegister = 8 };

/// A role of the policy file. Names of models are exact, or "*" for every model, or end in "*" for a prefix.
struct Role {
  std::string name;
  std::vector<std::string> models;
  std::vector<std::string> expert_groups;  ///< of high security; standard ones are for everybody who may use the model
  std::vector<std::string> denied_expert_groups;  ///< taken away, standard ones too; denial wins over every role's right
  std::uint8_t admin = 0;                  ///< AdminRight bits
};

/// Limits of one tenant. 0 = none.
struct TenantLimits {
  std::uint64_t requests_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
  std::uint32_t concurrency = 0;        ///< requests in flight
  std::uint32_t queued = 0;             ///< requests waiting
  std::uint64_t max_tokens = 0;         ///< of one answer
  bool operator==(const TenantLimits&) const = default;
};

/// Lower value = served first.
enum class PriorityClass : std::uint8_t { kCritical, kStandard, kSheddable };

struct Tenant {
  std::string name;
  TenantLimits limits;
  PriorityClass priority = PriorityClass::kStandard;
  double weight = 1;  ///< share among tenants of a priority class; > 0
};

struct PolicyRules {
  std::string revision;                 ///< of these rules, in logs and signed headers; empty: compile() makes it
  std::vector<ExpertGroup> groups;
  std::vector<Role> roles;
  std::vector<Tenant> tenants;
  Tenant default_tenant;                ///< settings of tenants that the file does not name
  std::vector<std::string> anonymous_roles;
  bool anonymous = false;               ///< callers without credentials are let in, with anonymous_roles
};

/// Checks rules as a whole. Errors: kInvalidArgument, as Policy::compile() says.
Result<void> check(const PolicyRules& rules);

/// Returns the same text for the same rules, whatever their order in the file, and never for different ones. `revision` is not
/// part of it.
std::string canonical_text(const PolicyRules& rules);

}  // namespace flexpert::auth
