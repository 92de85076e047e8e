#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auth/access_token.h"
#include "auth/api_key.h"
#include "auth/policy.h"
#include "base/result.h"
#include "config/fleet_config.h"
#include "crypto/hmac_key.h"
#include "gateway/access_snapshot.h"

namespace flexpert::gateway {

/// What the files that `access:` names say now. Immutable; any thread.
struct AccessFiles {
  auth::PolicyRules rules;
  std::shared_ptr<const auth::ApiKeys> keys;         ///< null: no file of keys is named
  std::shared_ptr<const crypto::HmacKey> pepper;
  std::shared_ptr<const auth::AccessTokens> tokens;
  std::vector<std::string> warnings;                 ///< what is odd but harmless, for the log
};

/// Reads them: policy, keys and pepper. Blocks for as long as files take. A key store or pepper that is not there yet means that
/// there are no keys; keys without their pepper are an error. Errors name the file.
Result<AccessFiles> read_access_files(const config::FleetConfig& config);

/// Compiles the policy for one loop, with SHA-256 as its digest.
Result<AccessSnapshot> make_access_snapshot(const AccessFiles& files);

/// The paths that read_access_files() reads: those that people write, and those that SQLite does.
std::vector<std::string> written_access_paths(const config::FleetConfig& config);
std::vector<std::string> stored_access_paths(const config::FleetConfig& config);

/// One difference between two states of the keys: what was done, and to which key.
struct KeyChange {
  std::string_view action;  ///< "keys.create", "keys.revoke", "keys.rotate", "keys.change", "keys.remove"
  std::string id;
};
std::vector<KeyChange> key_changes(const auth::ApiKeys& before, const auth::ApiKeys& after);

}  // namespace flexpert::gateway
