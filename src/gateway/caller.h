#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "auth/policy.h"
#include "codec/http1_view.h"

namespace flexpert::gateway {

/// Why a request is not carried out, in the parts of an OpenAI error.
struct Refusal {
  int status = 400;
  std::string message;
  std::string_view type = "invalid_request_error";
  std::string_view param{};
  std::string_view code{};
  int retry_after_s = 0;                ///< over 0: a Retry-After field; whole seconds
  std::string_view authenticate{};      ///< a WWW-Authenticate field
};

/// Somebody who may be served: identity and rights. Immutable and shared.
struct Caller {
  auth::Identity identity;
  std::shared_ptr<const auth::Grant> grant;
  std::shared_ptr<const void> keeps;    ///< the policy that the grant came from
  std::string_view policy_revision;     ///< of that policy
};
using CallerPtr = std::shared_ptr<const Caller>;

using AuthResult = std::variant<CallerPtr, Refusal>;

/// Finds out who sent a request: an API key or a JWT in Authorization (or x-api-key, as some clients send it), an access
/// token, or nobody where the policy allows that. What a request says about itself in any other place counts for nothing.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  /// Returns the verdict, or nothing if a key set must be fetched first: then `later` is called once, on the loop's thread,
  /// unless the returned ticket is dropped before. `later` may be moved from only in that case.
  struct Pending {
    virtual ~Pending() = default;
  };
  virtual std::variant<AuthResult, std::unique_ptr<Pending>> authenticate(const codec::Http1RequestView& head,
                                                                         std::move_only_function<void(AuthResult)> later) = 0;
};

}  // namespace flexpert::gateway
