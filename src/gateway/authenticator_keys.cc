#include "gateway/authenticator_keys.h"

namespace flexpert::gateway {

CallerPtr make_caller(const std::shared_ptr<auth::Policy>& policy, auth::Identity identity) {
  auto caller = std::make_shared<Caller>();
  caller->grant = policy->grant(identity);
  caller->identity = std::move(identity);
  caller->keeps = policy;
  caller->policy_revision = policy->rules().revision;
  return caller;
}

void KeyCallers::apply(const AccessSnapshot& access) {
  policy_ = access.policy;
  keys_ = access.keys;
  pepper_ = access.pepper;
  callers_.assign(keys_ ? keys_->records().size() : 0, nullptr);
}

CallerPtr KeyCallers::find(std::string_view key_text, std::int64_t now_unix_ms) {
  if (keys_ == nullptr || pepper_ == nullptr) return nullptr;
  const auth::ApiKeyRecord* const record = keys_->find(pepper_->sign(key_text), now_unix_ms);
  if (record == nullptr) return nullptr;
  CallerPtr& caller = callers_[static_cast<std::size_t>(record - keys_->records().data())];
  if (caller == nullptr)
    caller = make_caller(policy_,
                         {.credential = auth::Credential::kApiKey, .id = record->id, .tenant = record->tenant, .roles = record->roles});
  return caller;
}

}  // namespace flexpert::gateway
