#include "gateway/grant_signer.h"

#include <functional>
#include <utility>

#include "base/check.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kMostPrepared = 4096;
constexpr std::int64_t kLifetimeMs = std::chrono::duration_cast<Milliseconds>(GrantSigner::kLifetime).count();

}  // namespace

std::size_t GrantSigner::KeyHash::operator()(const KeyView& key) const {
  return std::hash<std::string_view>{}(key.model) * 0x9e3779b97f4a7c15ULL + std::hash<const void*>{}(key.grant);
}

GrantSigner::GrantSigner(std::string_view secret, Duration answer_within)
    : key_(secret), answer_within_ms_(std::chrono::ceil<Milliseconds>(answer_within).count()) {}

Result<const codec::InternalGrantForm*> GrantSigner::form(const Caller& caller, std::string_view model) {
  if (const auto found = prepared_.find(KeyView{caller.grant.get(), model}); found != prepared_.end()) return &found->second.form;
  const auth::ModelRight* right = caller.grant == nullptr ? nullptr : caller.grant->model(model);
  if (right == nullptr) return fail(ErrorCode::kPermissionDenied, "no right on the model: {}", model);
  FLEXPERT_ASSIGN(codec::InternalGrantForm made, codec::InternalGrantForm::make({.tenant = caller.grant->tenant.name,
                                                                                .model = std::string(model),
                                                                                .policy_revision = std::string(caller.policy_revision),
                                                                                .rights_digest = right->digest,
                                                                                .forbidden = right->forbidden}));
  if (prepared_.size() >= kMostPrepared) prepared_.clear();
  const auto [at, added] = prepared_.try_emplace(Key{caller.grant.get(), std::string(model)}, Prepared{caller.grant, std::move(made)});
  return &at->second.form;
}

Result<void> GrantSigner::append(std::string& out, const Caller& caller, std::string_view model, const Request& request) {
  FLEXPERT_ASSIGN(const codec::InternalGrantForm* const prepared, form(caller, model));
  const std::int64_t latest = answer_within_ms_ == 0 ? 0 : request.unix_ms + answer_within_ms_;
  return sign(out, *prepared,
              {.request_id = request.request_id,
               .body_sha256 = request.body_sha256,
               .expires_unix_ms = request.unix_ms + kLifetimeMs,
               .deadline_unix_ms = request.deadline_unix_ms != 0 ? request.deadline_unix_ms : latest,
               .priority = static_cast<std::uint8_t>(caller.grant->tenant.priority)});
}

std::string GrantSigner::for_probe(std::int64_t unix_ms) const {
  const auto nothing = codec::InternalGrantForm::make({});
  FLEXPERT_CHECK(nothing.has_value(), "an empty grant has a form");
  std::string out;
  const auto ok = sign(out, *nothing, {.request_id = "probe", .body_sha256 = crypto::sha256(std::string_view()),
      .expires_unix_ms = unix_ms + kLifetimeMs});
  FLEXPERT_CHECK(ok.has_value(), "a probe's grant is short");
  return out;
}

Result<void> GrantSigner::sign(std::string& out, const codec::InternalGrantForm& form, const codec::InternalGrantRequest& request) const {
  const std::size_t before = out.size();
  out += codec::kInternalGrantPrefix;
  const std::size_t payload = out.size();
  if (auto ok = form.append_payload(out, request); !ok) {
    out.resize(before);
    return ok;
  }
  const crypto::Digest signature = key_.sign(std::string_view(out).substr(payload));
  codec::append_internal_grant_signature(out, signature);
  return {};
}

}  // namespace flexpert::gateway
