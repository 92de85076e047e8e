#pragma once

#include <memory>

#include "auth/access_token.h"
#include "auth/api_key.h"
#include "auth/policy.h"
#include "crypto/hmac_key.h"

namespace flexpert::gateway {

/// Everything of the configuration that decides who somebody is and what they may do, as it is now. A reload makes a new one.
struct AccessSnapshot {
  std::shared_ptr<auth::Policy> policy;             ///< of this loop; never null
  std::shared_ptr<const auth::ApiKeys> keys;        ///< null: there are no API keys
  std::shared_ptr<const crypto::HmacKey> pepper;    ///< under which their digests were made; null without keys
  std::shared_ptr<const auth::AccessTokens> tokens; ///< of /route; null: there are none
};

}  // namespace flexpert::gateway
