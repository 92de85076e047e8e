#include "auth/api_key.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

namespace flexpert::auth {
namespace {

constexpr std::size_t kRandomCharacters = 43;

bool is_base64url(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

bool is_api_key_text(std::string_view text) {
  return text.size() == kApiKeyPrefix.size() + kRandomCharacters && text.starts_with(kApiKeyPrefix) &&
         std::all_of(text.begin() + kApiKeyPrefix.size(), text.end(), is_base64url);
}

std::size_t ApiKeys::DigestHash::operator()(const KeyDigest& digest) const {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof(hash));
  return hash;
}

Result<ApiKeys> ApiKeys::make(std::vector<ApiKeyRecord> records) {
  ApiKeys keys;
  std::unordered_set<std::string_view> ids;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!ids.insert(records[i].id).second)
      return fail(ErrorCode::kInvalidArgument, "key {}: its id is given twice; allowed: each id once", records[i].id);
    if (!keys.by_digest_.emplace(records[i].digest, i).second)
      return fail(ErrorCode::kInvalidArgument, "key {}: another key has the same digest; remove one of them", records[i].id);
  }
  keys.records_ = std::move(records);
  return keys;
}

const ApiKeyRecord* ApiKeys::find(const KeyDigest& digest, std::int64_t now_unix_ms) const {
  const auto found = by_digest_.find(digest);
  if (found == by_digest_.end()) return nullptr;
  const ApiKeyRecord& record = records_[found->second];
  const bool ended = record.revoked_unix_ms != 0 || (record.expires_unix_ms != 0 && record.expires_unix_ms <= now_unix_ms);
  return ended ? nullptr : &record;
}

}  // namespace flexpert::auth
