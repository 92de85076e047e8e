#include "gateway/authenticator_jwt.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "crypto/jwt_payload.h"
#include "gateway/authenticator_keys.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kGoodRows = 1024;
constexpr std::size_t kBadRows = 256;
constexpr std::int64_t kBadForMs = 10'000;
/// A token that lasts for ever is verified again once an hour.
constexpr double kLongestKnownS = 3600;

Refusal keys_unavailable() {
  return {.status = 503,
          .message = "Tokens of this issuer cannot be verified now: its keys are not there yet. Try again.",
          .type = "server_error",
          .param = {},
          .code = "token_keys_unavailable",
          .retry_after_s = 5,
          .authenticate = {}};
}

/// Types that are no access tokens (RFC 8725, 3.11): only those without a type, and those made for this, are taken.
bool is_access_type(std::string_view typ) { return typ.empty() || typ == "jwt" || typ == "at+jwt"; }

Result<auth::JwtClaims> claims_of(const crypto::JwtPayload& payload, const config::JwtIssuerConfig& config) {
  auth::JwtClaims claims;
  FLEXPERT_ASSIGN(claims.issuer, payload.text("iss"));
  FLEXPERT_ASSIGN(claims.subject, payload.text("sub"));
  FLEXPERT_ASSIGN(claims.audiences, payload.texts("aud"));
  FLEXPERT_ASSIGN(claims.expires, payload.number("exp"));
  FLEXPERT_ASSIGN(claims.not_before, payload.number("nbf"));
  FLEXPERT_ASSIGN(claims.issued, payload.number("iat"));
  FLEXPERT_ASSIGN(claims.tenant, payload.text(config.tenant_claim));
  FLEXPERT_ASSIGN(claims.roles, payload.texts(config.roles_claim));
  return claims;
}

}  // namespace

Refusal invalid_token() {
  return {.status = 401,
          .message = "The token is not valid here.",
          .param = {},
          .code = "invalid_token",
          .retry_after_s = 0,
          .authenticate = "Bearer error=\"invalid_token\""};
}

struct JwtCallers::Issuer {
  config::JwtIssuerConfig config;
  auth::JwtRules rules;
  crypto::JwsAlgorithms algorithms;
  std::unique_ptr<KeySet> keys;
};

/// A request that waits for newer keys.
struct JwtCallers::Waiting final : Authenticator::Pending {
  std::unique_ptr<KeySet::Waiting> place;
};

JwtCallers::JwtCallers(net::EventLoop& loop, const Clock& clock)
    : loop_(loop), clock_(clock), client_(loop), table_key_(crypto::random_bytes(32)), good_(kGoodRows), bad_(kBadRows) {}

JwtCallers::~JwtCallers() = default;

Result<void> JwtCallers::add(const config::JwtIssuerConfig& config) {
  if (std::any_of(issuers_.begin(), issuers_.end(), [&](const auto& known) { return known->config.issuer == config.issuer; }))
    return fail(ErrorCode::kInvalidArgument, "access.jwt: issuer given twice: {}", config.issuer);
  auto issuer = std::make_unique<Issuer>();
  issuer->config = config;
  issuer->rules = {.issuer = config.issuer,
                   .audiences = config.audiences,
                   .leeway_s = config.leeway_s,
                   .default_roles = config.default_roles,
                   .allowed_roles = config.allowed_roles,
                   .allowed_tenants = config.allowed_tenants};
  bool symmetric = false;
  for (const std::string& name : config.algorithms) {
    const auto algorithm = crypto::jws_algorithm(name);
    if (!algorithm) return fail(ErrorCode::kInvalidArgument, "access.jwt: {}: no such algorithm: {}", config.issuer, name);
    issuer->algorithms.add(*algorithm);
    symmetric = symmetric || name.starts_with("HS");
  }
  if (symmetric && config.jwks_file.empty()) return fail(ErrorCode::kInvalidArgument, "access.jwt: {}: HS* needs jwks_file", config.issuer);
  issuer->keys = std::make_unique<KeySet>(loop_, clock_, client_,
                                          KeySet::Options{.issuer = config.issuer,
                                                          .url = config.jwks_url,
                                                          .file = config.jwks_file,
                                                          .ca_file = config.ca_file,
                                                          .symmetric = symmetric,
                                                          .refresh = from_seconds(config.refresh_s),
                                                          .min_refresh = from_seconds(config.min_refresh_s)},
                                          [this] { forget_tokens(); });
  if (auto started = issuer->keys->start(); !started)
    return fail(started.error().with_context(fmt::format("access.jwt: {}", config.issuer)));
  issuers_.push_back(std::move(issuer));
  return {};
}

void JwtCallers::apply(std::shared_ptr<auth::Policy> policy) {
  policy_ = std::move(policy);
  forget_tokens();
}

void JwtCallers::forget_tokens() {
  good_.clear();
  bad_.clear();
}

/// Verifies a token from the beginning. `issuer` is set as soon as it is known.
std::expected<CallerPtr, JwtCallers::Fault> JwtCallers::verify(std::string_view token, const crypto::Digest& digest, Issuer*& issuer) {
  const std::int64_t now_ms = clock_.unix_ms();
  const double now_s = static_cast<double>(now_ms) / 1000;
  const auto refuse = [](std::string_view why) {
    log::debug("a token was refused: {}", why);
    return std::unexpected(Fault::kRefused);
  };
  const auto jws = crypto::read_jws(token);
  if (!jws) return refuse(jws.error().message);
  const auto payload = crypto::JwtPayload::parse(jws->payload);
  if (!payload) return refuse(payload.error().message);
  const auto name = payload->text("iss");
  if (!name || !*name) return refuse("iss is missing");
  const auto found = std::find_if(issuers_.begin(), issuers_.end(), [&](const auto& known) { return known->config.issuer == **name; });
  if (found == issuers_.end()) return refuse("iss is no issuer of the configuration");
  issuer = found->get();
  if (!issuer->algorithms.contains(jws->algorithm)) return refuse("its algorithm is not allowed for its issuer");
  if (!is_access_type(jws->typ)) return refuse("typ is not that of an access token");
  // What it says is looked at first: a token that is over, or for somebody else, makes nobody fetch keys.
  const auto claims = claims_of(*payload, issuer->config);
  if (!claims) return refuse(claims.error().message);
  auto identity = auth::identify_jwt(*claims, issuer->rules, now_s);
  if (!identity) return refuse(identity.error().message);
  if (issuer->keys->keys() == nullptr) return std::unexpected(Fault::kNewerKeysNeeded);
  const auto verified = issuer->keys->keys()->verify(*jws, issuer->algorithms);
  if (!verified && verified.error().code == ErrorCode::kNotFound) return std::unexpected(Fault::kNewerKeysNeeded);
  if (!verified) {
    bad_.put(digest, now_ms + kBadForMs, true);
    return refuse(verified.error().message);
  }
  CallerPtr caller = make_caller(policy_, std::move(*identity));
  const double known_s = std::min(*claims->expires + issuer->rules.leeway_s - now_s, kLongestKnownS);
  good_.put(digest, now_ms + static_cast<std::int64_t>(known_s * 1000), caller);
  return caller;
}

JwtCallers::Verdict JwtCallers::authenticate(std::string_view token, std::move_only_function<void(AuthResult)>& later) {
  if (token.size() > crypto::kLongestJws) return invalid_token();
  const crypto::Digest digest = table_key_.sign(token);
  const std::int64_t now_ms = clock_.unix_ms();
  if (const CallerPtr* const known = good_.find(digest, now_ms); known != nullptr) return *known;
  if (bad_.find(digest, now_ms) != nullptr) return invalid_token();
  Issuer* issuer = nullptr;
  auto verified = verify(token, digest, issuer);
  if (!verified && verified.error() == Fault::kNewerKeysNeeded) {
    const auto newer = issuer->keys->request_newer();
    if (newer == KeySet::Newer::kFetching) {
      auto waiting = std::make_unique<Waiting>();
      waiting->place = issuer->keys->wait([this, text = std::string(token), digest, call = std::move(later)]() mutable {
        Issuer* same = nullptr;
        const auto again = verify(text, digest, same);
        if (again) return call(*again);
        call(again.error() == Fault::kNewerKeysNeeded && same->keys->keys() == nullptr ? keys_unavailable() : invalid_token());
      });
      if (!waiting->place) return keys_unavailable();
      return waiting;
    }
    if (newer == KeySet::Newer::kRead) verified = verify(token, digest, issuer);
  }
  if (verified) return std::move(*verified);
  if (verified.error() == Fault::kNewerKeysNeeded && issuer->keys->keys() == nullptr) return keys_unavailable();
  return invalid_token();
}

}  // namespace flexpert::gateway
