#include "flexpert/keys_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "auth/policy.h"
#include "base/base64url.h"
#include "config/fleet_config.h"
#include "config/key_records.h"
#include "config/yaml_tree.h"
#include "crypto/hmac_key.h"
#include "crypto/secret_file.h"
#include "net/unique_fd.h"

namespace flexpert::app {

Result<KeyPlaces> find_key_places(const std::string& config, const std::string& store, const std::string& pepper) {
  KeyPlaces places;
  if (!config.empty()) {
    FLEXPERT_ASSIGN(const config::FleetConfig fleet, config::load_file(config));
    places.store = fleet.access.keys_file;
    places.pepper = fleet.access.pepper_file;
    places.roles.emplace_back(auth::kEverythingRole);
    for (const auth::Role& role : fleet.access.rules.roles) places.roles.push_back(role.name);
  }
  if (!store.empty()) {
    places.store = store;
    places.pepper = store + ".pepper";
  }
  if (!pepper.empty()) places.pepper = pepper;
  return places;
}

Result<NewKey> make_key(const std::string& pepper_file, bool stored, auth::ApiKeyRecord record) {
  std::error_code error;
  if (stored && !std::filesystem::exists(pepper_file, error))
    return fail(ErrorCode::kFailedPrecondition,
                "pepper file {} is missing, under which the keys that are there were made; bring it back, or name it with --pepper",
                pepper_file);
  FLEXPERT_TRY(crypto::ensure_secret_file(pepper_file));
  FLEXPERT_ASSIGN(const std::string pepper, crypto::read_secret_file(pepper_file));
  NewKey made{.text = std::string(auth::kApiKeyPrefix) + to_base64url(crypto::random_bytes(32)), .record = std::move(record)};
  made.record.id = "key_" + to_base64url(crypto::random_bytes(12));
  made.record.digest = crypto::HmacKey(pepper).sign(made.text);
  return made;
}

Result<void> append_key_record(const std::string& path, const auth::ApiKeyRecord& record) {
  // Held while the file is replaced: what another process appends meanwhile is not lost. It stays there, empty.
  const net::UniqueFd lock(::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0)
    return fail(ErrorCode::kFailedPrecondition, "cannot lock {}.lock: {}", path, std::strerror(errno));
  std::string text = "keys:\n";
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    FLEXPERT_ASSIGN(text, config::read_yaml_file(path));
    FLEXPERT_TRY(config::parse_key_records(text, path));
    if (!text.ends_with('\n')) text += '\n';
  }
  text += config::key_record_line(record) + "\n";
  if (const auto checked = config::parse_key_records(text, path); !checked)
    return fail(ErrorCode::kFailedPrecondition, "{} does not end with a list of keys, one a line; put this into its list: {}", path,
                config::key_record_line(record));
  const std::string beside = path + ".new";
  const net::UniqueFd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return fail(ErrorCode::kFailedPrecondition, "cannot write {}: {}", beside, std::strerror(errno));
  const bool written = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file.get()) == 0;
  if (!written || ::rename(beside.c_str(), path.c_str()) != 0)
    return fail(ErrorCode::kFailedPrecondition, "cannot replace {}: {}", path, std::strerror(errno));
  return {};
}

}  // namespace flexpert::app
