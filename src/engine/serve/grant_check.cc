#include "engine/serve/grant_check.h"

#include <algorithm>
#include <utility>

#include "crypto/digest.h"

namespace flexpert::engine {
namespace {

constexpr std::int64_t kLeewayMs = 5000;  // that the gateway's clock and ours may differ by
constexpr std::size_t kMostMasks = 256;

std::unexpected<codec::ApiError> unauthorised() {
  return std::unexpected(codec::ApiError{.status = 401,
                                         .message = "This server takes requests only from its gateway.",
                                         .type = "authentication_error",
                                         .code = "invalid_grant"});
}

/// A grant whose signature nobody can check says at least whether experts are forbidden.
bool says_unrestricted(std::string_view value) {
  const auto split = codec::split_internal_grant(value);
  const auto grant = split ? codec::parse_internal_grant(split->payload) : fail(split.error());
  return grant && grant->rights.forbidden.empty();
}

}  // namespace

GrantCheck::GrantCheck(const ServedModel& model) : model_(model) {
  if (!model.internal_secret.empty()) key_.emplace(model.internal_secret);
}

codec::ApiResult<RequestRights> GrantCheck::check(const http::Request& request, GrantScope scope) const {
  if (scope == GrantScope::kOpen) return RequestRights{};
  const std::string* value = nullptr;
  for (const auto& [name, text] : request.headers.fields()) {
    if (!http::equal_ignoring_case(name, codec::kInternalGrantField)) continue;
    if (value != nullptr) return unauthorised();
    value = &text;
  }
  if (!key_) {
    if (value == nullptr || says_unrestricted(*value)) return RequestRights{};
    return std::unexpected(codec::ApiError{.status = 403,
                                           .message = "This server was started without --internal-secret-file and cannot keep to restricted rights.",
                                           .type = "permission_error",
                                           .code = "expert_masking_unavailable"});
  }
  if (value == nullptr) return unauthorised();
  auto rights = verified(request, *value, scope);
  if (!rights) return unauthorised();
  return std::move(*rights);
}

std::optional<RequestRights> GrantCheck::verified(const http::Request& request, std::string_view value, GrantScope scope) const {
  const auto split = codec::split_internal_grant(value);
  if (!split || !key_->verify(split->payload, split->signature)) return std::nullopt;
  auto grant = codec::parse_internal_grant(split->payload);
  if (!grant) return std::nullopt;
  const std::int64_t now = model_.clock.unix_ms();
  if (grant->expires_unix_ms < now - kLeewayMs) return std::nullopt;
  const bool names_it = grant->rights.model == model_.name || (scope == GrantScope::kName && grant->rights.model.empty());
  if (!names_it || grant->body_sha256 != crypto::sha256(request.body)) return std::nullopt;
  RequestRights rights{.forbidden = std::move(grant->rights.forbidden), .rights_digest = std::move(grant->rights.rights_digest),
      .deadline = {}};
  if (grant->deadline_unix_ms != 0) {
    constexpr std::int64_t kLongestMs = 24 * 3600 * 1000;  // no answer is waited for longer
    rights.deadline = model_.clock.now() + Milliseconds(std::clamp<std::int64_t>(grant->deadline_unix_ms - now + kLeewayMs, 0, kLongestMs));
  }
  return rights;
}

codec::ApiResult<std::shared_ptr<const ExpertMask>> GrantCheck::mask(const RequestRights& rights) {
  if (rights.forbidden.empty()) return nullptr;
  if (const auto kept = masks_.find(rights.rights_digest); kept != masks_.end() && kept->second.forbidden == rights.forbidden)
    return kept->second.mask;
  auto made = ExpertMask::make(rights.forbidden, model_.engine.config());
  if (!made)
    return std::unexpected(codec::ApiError{.status = 403,
                                           .message = fmt::format("The model '{}' may not be used with these rights: {}.", model_.name,
                                               made.error().message),
                                           .type = "permission_error",
                                           .param = "model",
                                           .code = "no_expert_allowed"});
  if (masks_.size() >= kMostMasks) masks_.clear();
  masks_.insert_or_assign(rights.rights_digest, Kept{rights.forbidden, *made});
  return std::move(*made);
}

}  // namespace flexpert::engine
