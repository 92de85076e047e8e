#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gateway/access_snapshot.h"
#include "gateway/caller.h"

namespace flexpert::gateway {

/// Makes what is handed to everybody who acts for a caller.
CallerPtr make_caller(const std::shared_ptr<auth::Policy>& policy, auth::Identity identity);

/// Callers by their API keys: each is made when its key is first used, and kept until the next snapshot.
class KeyCallers {
 public:
  void apply(const AccessSnapshot& access);
  /// Returns null for a key that is unknown, revoked or over.
  CallerPtr find(std::string_view key_text, std::int64_t now_unix_ms);

 private:
  std::shared_ptr<auth::Policy> policy_;
  std::shared_ptr<const auth::ApiKeys> keys_;
  std::shared_ptr<const crypto::HmacKey> pepper_;
  std::vector<CallerPtr> callers_;  ///< by the place of the key's record
};

}  // namespace flexpert::gateway
