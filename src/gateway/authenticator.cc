#include "gateway/authenticator.h"

#include <algorithm>
#include <utility>

#include "config/access_reader.h"
#include "gateway/authenticator_jwt.h"
#include "gateway/authenticator_keys.h"

namespace flexpert::gateway {
namespace {

using codec::Http1KnownField;
using Verdict = std::variant<AuthResult, std::unique_ptr<Authenticator::Pending>>;

constexpr std::size_t kKeyLength = auth::kApiKeyPrefix.size() + 43;
constexpr std::string_view kAccessTokenField = "X-Expert-Access-Token";

Refusal no_credential() {
  return {.status = 401,
          .message = "No API key was given. Send it as \"Authorization: Bearer KEY\".",
          .param = {},
          .code = "missing_api_key",
          .retry_after_s = 0,
          .authenticate = "Bearer"};
}

/// The same for a key that never was, one that is over and one that was revoked.
Refusal invalid_key() {
  return {.status = 401,
          .message = "The API key is not valid here.",
          .param = {},
          .code = "invalid_api_key",
          .retry_after_s = 0,
          .authenticate = "Bearer error=\"invalid_token\""};
}

Refusal several_credentials() {
  return {.status = 400,
          .message = "More than one credential was given. Send one Authorization field, or one x-api-key field.",
          .param = {},
          .code = "several_credentials",
          .retry_after_s = 0,
          .authenticate = {}};
}

/// What a request shows, as views of its head.
struct Shown {
  std::string_view authorization;
  std::string_view api_key;
  std::string_view access_token;
  bool several = false;
};

Shown shown_by(const codec::Http1RequestView& head, bool route) {
  Shown shown{.authorization = head.find(Http1KnownField::kAuthorization),
              .api_key = head.find(Http1KnownField::kXApiKey),
              .access_token = {},
              .several = head.repeats(Http1KnownField::kAuthorization) || head.repeats(Http1KnownField::kXApiKey)};
  if (!route) return shown;
  bool seen = false;
  for (const codec::Http1FieldView& field : head.fields) {
    if (field.known != Http1KnownField::kOther || !codec::http1_equal_ignoring_case(field.name, kAccessTokenField)) continue;
    shown.access_token = field.value;
    shown.several = shown.several || std::exchange(seen, true);
  }
  return shown;
}

/// Returns what stands behind "Bearer "; a null view for another scheme.
std::string_view bearer(std::string_view value) {
  constexpr std::string_view kScheme = "bearer ";
  if (value.size() <= kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    const char c = value[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kScheme[i]) return {};
  }
  value.remove_prefix(kScheme.size());
  return value;
}

/// Tells whether a text could be a JSON Web Token at all.
bool has_form_of_jwt(std::string_view text) {
  return text.starts_with("ey") && std::count(text.begin(), text.end(), '.') == 2;
}

class Implementation final : public CredentialAuthenticator {
 public:
  Implementation(net::EventLoop& loop, const Clock& clock) : clock_(clock), jwt_(loop, clock) {}

  Result<void> add(const config::JwtIssuerConfig& issuer) { return jwt_.add(issuer); }

  void apply(AccessSnapshot access) override {
    access_ = std::move(access);
    keys_.apply(access_);
    jwt_.apply(access_.policy);
    nobody_ = nullptr;
    if (access_.policy->rules().anonymous)
      nobody_ = make_caller(access_.policy, {.credential = auth::Credential::kNone, .id = {}, .tenant = "anonymous", .roles = {}});
  }

  Verdict authenticate(const codec::Http1RequestView& head, std::move_only_function<void(AuthResult)> later) override {
    const bool route = head.path() == "/route";
    const Shown shown = shown_by(head, route);
    if (shown.several) return several_credentials();
    const std::string_view token = bearer(shown.authorization);
    if (!shown.api_key.empty() && !token.empty() && shown.api_key != token) return several_credentials();
    const std::string_view credential = token.empty() ? shown.api_key : token;
    const std::string name = route ? access_token_name(shown.access_token) : std::string();
    if (name.empty()) return identify(credential, later);
    return identify_with_role(credential, name, std::move(later));
  }

 private:
  Verdict identify(std::string_view credential, std::move_only_function<void(AuthResult)>& later) {
    if (credential.starts_with(auth::kApiKeyPrefix)) {
      // Its other characters need no look: what is no key of ours has no digest of ours.
      if (credential.size() == kKeyLength)
        if (CallerPtr caller = keys_.find(credential, clock_.unix_ms()); caller != nullptr) return caller;
      return invalid_key();
    }
    if (!jwt_.empty() && has_form_of_jwt(credential)) return jwt_.authenticate(credential, later);
    if (nobody_ != nullptr) return nobody_;
    return credential.empty() ? no_credential() : invalid_key();
  }

  /// Returns the name of an access token; empty if it is none of ours, which counts as none at all.
  std::string access_token_name(std::string_view access_token) const {
    if (access_token.empty() || access_.tokens == nullptr) return {};
    const auth::Principal principal = access_.tokens->identify(crypto::sha256_hex(access_token));
    return principal.anonymous() ? std::string() : principal.name;
  }

  /// The access token's role on top of whoever shows it; alone it is somebody too.
  Verdict identify_with_role(std::string_view credential, const std::string& token_name, std::move_only_function<void(AuthResult)> later) {
    const auto with_role = [this, token_name](const Caller& caller) {
      auth::Identity identity = caller.identity;
      if (identity.credential == auth::Credential::kNone)
        identity = {.credential = auth::Credential::kAccessToken,
                    .id = token_name,
                    .tenant = identity.tenant,
                    .roles = access_.policy->rules().anonymous_roles};
      identity.roles.push_back(config::token_role(token_name));
      return make_caller(access_.policy, std::move(identity));
    };
    if (credential.empty() && nobody_ == nullptr) {
      auth::Identity identity{.credential = auth::Credential::kAccessToken,
                              .id = token_name,
                              .tenant = token_name,
                              .roles = {config::token_role(token_name)}};
      return make_caller(access_.policy, std::move(identity));
    }
    std::move_only_function<void(AuthResult)> then = [with_role, call = std::move(later)](AuthResult result) mutable {
      if (const CallerPtr* const caller = std::get_if<CallerPtr>(&result)) return call(with_role(**caller));
      call(std::move(result));
    };
    Verdict verdict = identify(credential, then);
    if (AuthResult* const result = std::get_if<AuthResult>(&verdict))
      if (const CallerPtr* const caller = std::get_if<CallerPtr>(result)) return with_role(**caller);
    return verdict;
  }

  const Clock& clock_;
  AccessSnapshot access_;
  KeyCallers keys_;
  JwtCallers jwt_;
  CallerPtr nobody_;  ///< null: nobody without a credential is served
};

}  // namespace

Result<std::unique_ptr<CredentialAuthenticator>> CredentialAuthenticator::create(net::EventLoop& loop, const Clock& clock,
                                                                                 const std::vector<config::JwtIssuerConfig>& issuers,
                                                                                 AccessSnapshot access) {
  auto made = std::make_unique<Implementation>(loop, clock);
  for (const config::JwtIssuerConfig& issuer : issuers) FLEXPERT_TRY(made->add(issuer));
  made->apply(std::move(access));
  return std::unique_ptr<CredentialAuthenticator>(std::move(made));
}

}  // namespace flexpert::gateway
