#include "gateway/access_files.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "config/access_reader.h"
#include "config/key_records.h"
#include "crypto/digest.h"
#include "crypto/secret_file.h"
#include "store/key_store.h"

namespace flexpert::gateway {
namespace {

bool there(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

Result<std::vector<auth::ApiKeyRecord>> read_records(const config::AccessConfig& access, std::vector<std::string>& warnings) {
  std::vector<auth::ApiKeyRecord> records;
  if (!access.keys_yaml.empty()) {
    FLEXPERT_ASSIGN(records, config::load_key_records(access.keys_yaml));
  }
  if (access.keys_file.empty()) return records;
  if (!there(access.keys_file)) {
    warnings.push_back(
        fmt::format("there is no key store yet, so no API key is good; `flexpert keys create` makes it: {}", access.keys_file));
    return records;
  }
  FLEXPERT_ASSIGN(const auto store, store::KeyStore::open_existing(access.keys_file));
  FLEXPERT_ASSIGN(std::vector<auth::ApiKeyRecord> stored, store->all());
  std::move(stored.begin(), stored.end(), std::back_inserter(records));
  return records;
}

void warn_of_roles(const std::vector<auth::ApiKeyRecord>& records, const auth::PolicyRules& rules, std::vector<std::string>& warnings) {
  std::set<std::string_view> known{auth::kEverythingRole};
  for (const auth::Role& role : rules.roles) known.insert(role.name);
  std::map<std::string_view, std::size_t> unknown;
  for (const auth::ApiKeyRecord& record : records)
    for (const std::string& role : record.roles)
      if (record.revoked_unix_ms == 0 && !known.contains(role)) ++unknown[role];
  for (const auto& [role, count] : unknown)
    warnings.push_back(fmt::format("the policy has no role {}, which {} API key(s) name; it gives them nothing", role, count));
}

std::string_view change_of(const auth::ApiKeyRecord& before, const auth::ApiKeyRecord& after) {
  if (before.revoked_unix_ms == 0 && after.revoked_unix_ms != 0) return "keys.revoke";
  if (before.replaced_by != after.replaced_by) return "keys.rotate";
  const bool same = before.digest == after.digest && before.tenant == after.tenant && before.roles == after.roles &&
                    before.expires_unix_ms == after.expires_unix_ms && before.revoked_unix_ms == after.revoked_unix_ms &&
                    before.name == after.name;
  return same ? std::string_view() : "keys.change";
}

}  // namespace

Result<AccessFiles> read_access_files(const config::FleetConfig& config) {
  const config::AccessConfig& access = config.access;
  AccessFiles files;
  FLEXPERT_ASSIGN(files.rules, config::reload_rules(config));
  if (!config.tokens.empty()) {
    std::vector<auth::AccessToken> tokens;
    for (const config::AccessTokenConfig& token : config.tokens) tokens.push_back({token.name, token.sha256, token.groups});
    files.tokens = std::make_shared<const auth::AccessTokens>(std::move(tokens));
  }
  if (access.keys_file.empty() && access.keys_yaml.empty()) return files;

  FLEXPERT_ASSIGN(std::vector<auth::ApiKeyRecord> records, read_records(access, files.warnings));
  if (!records.empty() || there(access.pepper_file)) {
    auto pepper = crypto::read_secret_file(access.pepper_file);
    if (!pepper)
      return fail(
          pepper.error().with_context(fmt::format("access.pepper_file, without which {} API key(s) cannot be told", records.size())));
    files.pepper = std::make_shared<const crypto::HmacKey>(*pepper);
  }
  warn_of_roles(records, files.rules, files.warnings);
  FLEXPERT_ASSIGN(auth::ApiKeys keys, auth::ApiKeys::make(std::move(records)));
  files.keys = std::make_shared<const auth::ApiKeys>(std::move(keys));
  return files;
}

Result<AccessSnapshot> make_access_snapshot(const AccessFiles& files) {
  FLEXPERT_ASSIGN(std::shared_ptr<auth::Policy> policy,
                  auth::Policy::compile(files.rules, [](std::string_view text) { return crypto::sha256_hex(text); }));
  return AccessSnapshot{.policy = std::move(policy), .keys = files.keys, .pepper = files.pepper, .tokens = files.tokens};
}

std::vector<std::string> written_access_paths(const config::FleetConfig& config) {
  return {config.access.policy_file, config.access.keys_yaml, config.access.pepper_file};
}

std::vector<std::string> stored_access_paths(const config::FleetConfig& config) {
  const std::string& store = config.access.keys_file;
  return store.empty() ? std::vector<std::string>() : std::vector<std::string>{store, store + "-wal"};
}

std::vector<KeyChange> key_changes(const auth::ApiKeys& before, const auth::ApiKeys& after) {
  std::map<std::string_view, const auth::ApiKeyRecord*> old;
  for (const auth::ApiKeyRecord& record : before.records()) old.emplace(record.id, &record);
  std::vector<KeyChange> changes;
  for (const auth::ApiKeyRecord& record : after.records()) {
    const auto known = old.find(record.id);
    if (known == old.end()) {
      changes.push_back({"keys.create", record.id});
      continue;
    }
    if (const std::string_view action = change_of(*known->second, record); !action.empty()) changes.push_back({action, record.id});
    old.erase(known);
  }
  for (const auto& [id, record] : old) changes.push_back({"keys.remove", std::string(id)});
  return changes;
}

}  // namespace flexpert::gateway
