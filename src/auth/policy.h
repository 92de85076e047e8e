#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/group_policy.h"
#include "base/result.h"
#include "fleet/expert_set.h"

/// Who may use what: roles compiled into grants. Pure and immutable once compiled; safe from any thread.
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
  std::string revision;                 ///< digest of the file, in logs and signed headers
  std::vector<ExpertGroup> groups;
  std::vector<Role> roles;
  std::vector<Tenant> tenants;
  Tenant default_tenant;                ///< settings of tenants that the file does not name
  std::vector<std::string> anonymous_roles;
  bool anonymous = false;               ///< callers without credentials are let in, with anonymous_roles
};

enum class Credential : std::uint8_t { kNone, kApiKey, kJwt, kAccessToken, kUnixPeer };

/// Who somebody proved to be.
struct Identity {
  Credential credential = Credential::kNone;
  std::string id;       ///< key id or JWT subject; for logs
  std::string tenant;   ///< "anonymous" for nobody
  std::vector<std::string> roles;
};

/// What an identity may do with one model.
struct ModelRight {
  ExpertSet forbidden;             ///< experts never to be computed for it; empty = unrestricted
  std::vector<std::string> groups; ///< the model's groups that it may use, in the policy's order
  std::string digest;              ///< of tenant-independent rights: equal digests may share KV blocks and cached answers of one tenant
  [[nodiscard]] bool restricted() const { return !forbidden.empty(); }
};

/// Everything that one identity may do. Shared by all its requests; made once per distinct (tenant, set of roles).
struct Grant {
  Tenant tenant;
  std::vector<std::string> roles;
  std::uint8_t admin = 0;
  /// Returns what it may do with `model`; null: nothing. Names that no rule and no group mentions are decided by patterns.
  /// The pointer holds as long as the Grant. At most 200 ns.
  [[nodiscard]] const ModelRight* model(std::string_view name) const;
  [[nodiscard]] bool may(AdminRight right) const { return (admin & static_cast<std::uint8_t>(right)) != 0; }

  // Filled by Policy:
  std::map<std::string, ModelRight, std::less<>> exact;      ///< models that a rule or a group names
  std::vector<std::pair<std::string, ModelRight>> prefixes;  ///< "" matches all; longest first
};

/// A compiled policy. Grants are made on demand and kept, so a Policy belongs to one thread (each loop compiles its own) though
/// its Grants may be shared.
class Policy {
 public:
  /// Errors: kInvalidArgument that names the role, group or tenant at fault (unknown group, an expert group without experts,
  /// a weight that is not positive, names given twice).
  static Result<std::shared_ptr<Policy>> compile(PolicyRules rules);

  /// Returns what `identity` may do. Roles that the policy does not know count for nothing.
  std::shared_ptr<const Grant> grant(const Identity& identity);
  [[nodiscard]] const PolicyRules& rules() const { return rules_; }
  /// Decides which of the `requested` groups of `model` the grant may execute. A group any of whose experts is forbidden to it
  /// is dropped whole.
  [[nodiscard]] GroupDecision decide(const Grant& grant, std::string_view model, const std::vector<std::string>& requested) const;

 private:
  explicit Policy(PolicyRules rules) : rules_(std::move(rules)) {}
  PolicyRules rules_;
  std::map<std::string, std::shared_ptr<const Grant>> grants_;  ///< by tenant and sorted roles
};

}  // namespace flexpert::auth
