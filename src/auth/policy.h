#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/group_policy.h"
#include "auth/model_rights.h"
#include "auth/policy_rules.h"
#include "base/result.h"

/// Who may use what: roles compiled into grants. Pure and immutable once compiled; safe from any thread.
namespace flexpert::auth {

enum class Credential : std::uint8_t { kNone, kApiKey, kJwt, kAccessToken, kUnixPeer };

/// Who somebody proved to be.
struct Identity {
  Credential credential = Credential::kNone;
  std::string id;       ///< key id or JWT subject; for logs
  std::string tenant;   ///< "anonymous" for nobody
  std::vector<std::string> roles;
};

/// Everything that one identity may do. Shared by all its requests; made once per distinct (tenant, set of roles).
struct Grant {
  Tenant tenant;
  std::vector<std::string> roles;  ///< those that the policy knows, sorted
  std::uint8_t admin = 0;          ///< AdminRight bits
  std::shared_ptr<const ModelRights> models;

  /// Returns what it may do with `model`; null: nothing. Names that no rule and no group mentions are decided by patterns.
  /// The pointer holds as long as the Grant. At most 200 ns.
  [[nodiscard]] const ModelRight* model(std::string_view name) const { return models == nullptr ? nullptr : models->find(name); }
  [[nodiscard]] bool may(AdminRight right) const { return (admin & static_cast<std::uint8_t>(right)) != 0; }
};

/// Returns a digest of `text` that nobody can make collide (SHA-256, say), in characters that may stand in a header. It is a
/// parameter because this module is pure and has no cryptography.
using DigestFunction = std::string (*)(std::string_view text);

/// The role that every policy has: all models, their standard groups, no admin rights.
inline constexpr std::string_view kEverythingRole = "everything";

/// A compiled policy. Grants are made on demand and kept, so a Policy belongs to one thread (each loop compiles its own) though
/// its Grants may be shared.
class Policy {
 public:
  /// `digest` makes the digests of rights and, where the rules have none, their revision; without it rights carry the whole
  /// canonical text of themselves, as collision-proof, longer. Errors: kInvalidArgument that names the role, group or tenant
  /// at fault (unknown group, an expert group without experts, a weight that is not positive, names given twice).
  static Result<std::shared_ptr<Policy>> compile(PolicyRules rules, DigestFunction digest = nullptr);

  /// Returns what `identity` may do. Roles that the policy does not know count for nothing. Credential::kNone is the anonymous
  /// caller: whatever roles it names, it has those of the rules, and none where they let no anonymous callers in.
  std::shared_ptr<const Grant> grant(const Identity& identity);
  [[nodiscard]] const PolicyRules& rules() const { return rules_; }
  [[nodiscard]] bool knows_role(std::string_view name) const { return roles_.contains(name); }
  /// Decides which of the `requested` groups of `model` the grant may execute. A group any of whose experts is forbidden to it
  /// is dropped whole.
  [[nodiscard]] GroupDecision decide(const Grant& grant, std::string_view model, const std::vector<std::string>& requested) const;

 private:
  explicit Policy(PolicyRules rules, DigestFunction digest);

  PolicyRules rules_;
  DigestFunction digest_;
  std::map<std::string, Role, std::less<>> roles_;  ///< the built-in one too
  std::map<std::string, Tenant, std::less<>> tenants_;
  std::map<std::vector<std::string>, std::shared_ptr<const ModelRights>> rights_;  ///< by sorted roles
  std::map<std::string, std::shared_ptr<const Grant>, std::less<>> grants_;        ///< by tenant and sorted roles
};

}  // namespace flexpert::auth
