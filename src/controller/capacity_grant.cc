#include "controller/capacity_grant.h"

#include "base/check.h"
#include "codec/internal_grant.h"
#include "crypto/digest.h"
#include "crypto/secret_file.h"

namespace flexpert::controller {
namespace {

constexpr std::int64_t kLifetimeMs = 10'000;

}  // namespace

Result<CapacityGrant> CapacityGrant::make(const std::string& secret_file, std::string model) {
  CapacityGrant grant;
  grant.model_ = std::move(model);
  if (secret_file.empty()) return grant;
  FLEXPERT_ASSIGN(const std::string secret, crypto::read_secret_file(secret_file));
  grant.key_.emplace(secret);
  return grant;
}

std::string CapacityGrant::value(std::string_view body, std::int64_t unix_ms) const {
  if (!key_) return {};
  const auto payload = codec::internal_grant_payload(
      {.rights = {.tenant = "controller", .model = model_, .policy_revision = {}, .rights_digest = {}, .forbidden = {}},
       .request_id = "capacity",
       .body_sha256 = crypto::sha256(body),
       .expires_unix_ms = unix_ms + kLifetimeMs});
  FLEXPERT_CHECK(payload.has_value(), "a grant of a model's name and no experts is short");
  return codec::internal_grant_value(*payload, key_->sign(*payload));
}

}  // namespace flexpert::controller
