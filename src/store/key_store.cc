#include "store/key_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "store/database.h"

namespace flexpert::store {
namespace {

constexpr std::string_view kWhat = "key store";
constexpr const char* kColumns = "id, digest, name, tenant, roles, created, expires, revoked, replaced_by";

std::string joined(const std::vector<std::string>& roles) {
  std::string text;
  for (const std::string& role : roles) text += (text.empty() ? "" : "\n") + role;
  return text;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> roles;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) roles.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return roles;
}

Result<auth::ApiKeyRecord> record_of(sqlite3_stmt* row) {
  auth::ApiKeyRecord record;
  record.id = text_of(row, 0);
  const std::string digest = text_of(row, 1);
  if (digest.size() != record.digest.size())
    return fail(ErrorCode::kDataLoss, "key {} has a digest of {} bytes; revoke it and make another", record.id, digest.size());
  std::memcpy(record.digest.data(), digest.data(), digest.size());
  record.name = text_of(row, 2);
  record.tenant = text_of(row, 3);
  record.roles = split(text_of(row, 4));
  record.created_unix_ms = sqlite3_column_int64(row, 5);
  record.expires_unix_ms = sqlite3_column_int64(row, 6);
  record.revoked_unix_ms = sqlite3_column_int64(row, 7);
  record.replaced_by = text_of(row, 8);
  return record;
}

class SqliteKeyStore final : public KeyStore {
 public:
  explicit SqliteKeyStore(Database database) : database_(std::move(database)) {}

  Result<void> prepare() {
    // A revocation that is said to be done must outlive the machine's crash, too.
    FLEXPERT_TRY(database_.execute("PRAGMA synchronous = FULL"));
    FLEXPERT_ASSIGN(insert_,
                    database_.compile(fmt::format("INSERT INTO api_keys({}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", kColumns).c_str()));
    FLEXPERT_ASSIGN(all_, database_.compile(fmt::format("SELECT {} FROM api_keys ORDER BY created, id", kColumns).c_str()));
    FLEXPERT_ASSIGN(one_, database_.compile(fmt::format("SELECT {} FROM api_keys WHERE id = ?", kColumns).c_str()));
    FLEXPERT_ASSIGN(revoke_, database_.compile("UPDATE api_keys SET revoked = ? WHERE id = ? AND revoked = 0"));
    FLEXPERT_ASSIGN(end_, database_.compile("UPDATE api_keys SET expires = ?, replaced_by = ? WHERE id = ?"));
    return {};
  }

  Result<void> add(const auth::ApiKeyRecord& record) override {
    for (const std::string& role : record.roles)
      if (role.empty() || role.find('\n') != std::string::npos)
        return fail(ErrorCode::kInvalidArgument, "key {}: a role is empty or has a line break", record.id);
    const std::string roles = joined(record.roles);
    sqlite3_stmt* statement = insert_.get();
    bind_text(statement, 1, record.id);
    sqlite3_bind_blob(statement, 2, record.digest.data(), static_cast<int>(record.digest.size()), SQLITE_STATIC);
    bind_text(statement, 3, record.name);
    bind_text(statement, 4, record.tenant);
    bind_text(statement, 5, roles);
    sqlite3_bind_int64(statement, 6, record.created_unix_ms);
    sqlite3_bind_int64(statement, 7, record.expires_unix_ms);
    sqlite3_bind_int64(statement, 8, record.revoked_unix_ms);
    bind_text(statement, 9, record.replaced_by);
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (code == SQLITE_CONSTRAINT) return fail(ErrorCode::kInvalidArgument, "key {}: its id or digest is there already", record.id);
    if (code != SQLITE_DONE) return database_.failed("cannot add a key");
    return {};
  }

  Result<std::vector<auth::ApiKeyRecord>> all() override { return read(all_.get()); }

  Result<auth::ApiKeyRecord> revoke(std::string_view id, std::int64_t now_unix_ms) override {
    sqlite3_bind_int64(revoke_.get(), 1, now_unix_ms);
    bind_text(revoke_.get(), 2, id);
    if (!run(revoke_.get())) return database_.failed("cannot revoke a key");
    return find(id);
  }

  Result<void> replace(std::string_view id, const auth::ApiKeyRecord& successor, std::int64_t ends_unix_ms,
                       std::int64_t now_unix_ms) override {
    FLEXPERT_TRY(database_.execute("BEGIN IMMEDIATE"));
    Result<void> done = replace_now(id, successor, ends_unix_ms, now_unix_ms);
    if (done) done = database_.execute("COMMIT");
    if (!done && database_.in_transaction())
      if (const auto undone = database_.execute("ROLLBACK"); !undone) return fail(undone.error());
    return done;
  }

 private:
  Result<auth::ApiKeyRecord> find(std::string_view id) {
    bind_text(one_.get(), 1, id);
    FLEXPERT_ASSIGN(std::vector<auth::ApiKeyRecord> found, read(one_.get()));
    if (found.empty()) return fail(ErrorCode::kNotFound, "there is no key {}; `flexpert keys list` shows those that are", id.substr(0, 64));
    return std::move(found.front());
  }

  Result<std::vector<auth::ApiKeyRecord>> read(sqlite3_stmt* statement) {
    std::vector<auth::ApiKeyRecord> records;
    Result<void> bad;
    int code = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
      auto record = record_of(statement);
      if (record) records.push_back(std::move(*record));
      else bad = fail(std::move(record.error()));
    }
    if (code != SQLITE_DONE) bad = database_.failed("cannot read it");
    sqlite3_reset(statement);
    if (!bad) return fail(std::move(bad.error()));
    return records;
  }

  Result<void> replace_now(std::string_view id, const auth::ApiKeyRecord& successor, std::int64_t ends_unix_ms, std::int64_t now_unix_ms) {
    FLEXPERT_ASSIGN(const auth::ApiKeyRecord old, find(id));
    if (old.revoked_unix_ms != 0) return fail(ErrorCode::kFailedPrecondition, "key {} was revoked; create a new one", old.id);
    if (!old.replaced_by.empty())
      return fail(ErrorCode::kFailedPrecondition, "key {} was replaced by {} already; rotate that one", old.id, old.replaced_by);
    if (old.expires_unix_ms != 0 && old.expires_unix_ms <= now_unix_ms)
      return fail(ErrorCode::kFailedPrecondition, "key {} is over; create a new one", old.id);
    FLEXPERT_TRY(add(successor));
    const std::int64_t ends = old.expires_unix_ms == 0 ? ends_unix_ms : std::min(ends_unix_ms, old.expires_unix_ms);
    sqlite3_bind_int64(end_.get(), 1, ends);
    bind_text(end_.get(), 2, successor.id);
    bind_text(end_.get(), 3, id);
    if (!run(end_.get())) return database_.failed("cannot replace a key");
    return {};
  }

  Database database_;
  Statement insert_, all_, one_, revoke_, end_;  // after database_, so that they go first
};

Result<std::unique_ptr<KeyStore>> open_in(const std::string& path) {
  FLEXPERT_ASSIGN(Database database, Database::open(path, Database::Mode::kWrite, kWhat));
  auto store = std::make_unique<SqliteKeyStore>(std::move(database));
  FLEXPERT_TRY(store->prepare());
  return std::unique_ptr<KeyStore>(std::move(store));
}

}  // namespace

Result<std::unique_ptr<KeyStore>> KeyStore::open(const std::string& path) {
  // SQLite gives the files beside it (-wal, -shm) the same rights.
  if (const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); fd >= 0) ::close(fd);
  return open_in(path);
}

Result<std::unique_ptr<KeyStore>> KeyStore::open_existing(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    return fail(ErrorCode::kNotFound, "there is no key store at {}; `flexpert keys create` makes it", path);
  return open_in(path);
}

}  // namespace flexpert::store
