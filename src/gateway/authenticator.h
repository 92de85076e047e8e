#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/gateway_options.h"
#include "gateway/access_snapshot.h"
#include "gateway/caller.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

/// The Authenticator of the gateway. What it takes: `Authorization: Bearer` with an API key or a token of a configured issuer;
/// `x-api-key` with an API key; on /route also X-Expert-Access-Token, whose groups of experts come on top. Whoever shows
/// something of the form of a credential of ours that does not hold is refused, never taken for nobody; what has no such form
/// counts as nothing shown. A request costs no allocation once its caller is known. Belongs to the loop's thread; the loop and
/// the clock outlive it.
class CredentialAuthenticator : public Authenticator {
 public:
  /// Reads the issuers' key files and begins to fetch the other key sets. Errors: a key file that cannot be used, an algorithm
  /// that is not known; with the issuer's name.
  static Result<std::unique_ptr<CredentialAuthenticator>> create(net::EventLoop& loop, const Clock& clock,
                                                                 const std::vector<config::JwtIssuerConfig>& issuers,
                                                                 AccessSnapshot access);
  /// Everything from now on is decided by `access`: a key that is revoked there is refused at once.
  virtual void apply(AccessSnapshot access) = 0;
};

}  // namespace flexpert::gateway
