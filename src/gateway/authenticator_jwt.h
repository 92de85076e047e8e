#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/jwt_claims.h"
#include "config/gateway_options.h"
#include "crypto/hmac_key.h"
#include "gateway/authenticator_tokens.h"
#include "gateway/caller.h"
#include "gateway/key_sets.h"

namespace flexpert::gateway {

/// Callers by their JSON Web Tokens. A token that was verified is known by its digest until it is over, the policy changes or
/// its issuer's keys do; so is, for a short while, one that was refused for good. Belongs to the loop's thread.
class JwtCallers {
 public:
  using Verdict = std::variant<AuthResult, std::unique_ptr<Authenticator::Pending>>;

  JwtCallers(net::EventLoop& loop, const Clock& clock);
  ~JwtCallers();
  JwtCallers(const JwtCallers&) = delete;
  JwtCallers& operator=(const JwtCallers&) = delete;

  /// Adds an issuer and reads its keys or begins to fetch them. Errors: see KeySet::start(); an algorithm that is not known.
  Result<void> add(const config::JwtIssuerConfig& issuer);
  [[nodiscard]] bool empty() const { return issuers_.empty(); }
  void apply(std::shared_ptr<auth::Policy> policy);

  /// As Authenticator::authenticate().
  Verdict authenticate(std::string_view token, std::move_only_function<void(AuthResult)>& later);

 private:
  struct Issuer;
  struct Waiting;
  enum class Fault { kRefused, kNewerKeysNeeded };

  [[nodiscard]] std::expected<CallerPtr, Fault> verify(std::string_view token, const crypto::Digest& digest, Issuer*& issuer);
  void forget_tokens();

  net::EventLoop& loop_;
  const Clock& clock_;
  web_client::WebClient client_;
  crypto::HmacKey table_key_;
  TokenTable<CallerPtr> good_;
  TokenTable<bool> bad_;
  std::shared_ptr<auth::Policy> policy_;
  std::vector<std::unique_ptr<Issuer>> issuers_;
};

/// What is answered to a token that does not hold, whatever is wrong with it.
Refusal invalid_token();

}  // namespace flexpert::gateway
