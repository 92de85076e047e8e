#include "store/database.h"

namespace flexpert::store {
namespace {

constexpr int kApplicationId = 0x466C7870;  // "Flxp"
constexpr int kSchemaVersion = 3;

constexpr const char* kSchema =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS decisions(id INTEGER PRIMARY KEY, unix_ms INTEGER NOT NULL, json TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS cycles(id INTEGER PRIMARY KEY, unix_ms INTEGER NOT NULL, kind TEXT NOT NULL, news INTEGER NOT NULL,"
    " config TEXT NOT NULL, record TEXT NOT NULL, plan TEXT);"
    "CREATE INDEX IF NOT EXISTS cycles_news ON cycles(id) WHERE news = 1;"
    "CREATE INDEX IF NOT EXISTS cycles_starts ON cycles(id) WHERE plan IS NULL;"
    "CREATE TABLE IF NOT EXISTS state(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS api_keys(id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, name TEXT NOT NULL, tenant TEXT NOT NULL, roles TEXT NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL, replaced_by TEXT NOT NULL) WITHOUT ROWID;";

}  // namespace

Result<Database> Database::open(const std::string& path, Mode mode, std::string_view what) {
  sqlite3* raw = nullptr;
  const int flags = mode == Mode::kWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Database database;
  database.path_ = path;
  database.what_ = what;
  database.database_.reset(raw);
  if (code != SQLITE_OK)
    return fail(ErrorCode::kUnavailable, "{} {}: cannot open it: {}", what, path, raw == nullptr ? "out of memory" : sqlite3_errmsg(raw));
  FLEXPERT_TRY(database.prepare(mode));
  return database;
}

Result<void> Database::prepare(Mode mode) {
  sqlite3_busy_timeout(database_.get(), 2000);
  FLEXPERT_ASSIGN(const std::int64_t tables, number("SELECT count(*) FROM sqlite_master"));
  FLEXPERT_ASSIGN(const std::int64_t application, number("PRAGMA application_id"));
  FLEXPERT_ASSIGN(const std::int64_t version, number("PRAGMA user_version"));
  if (tables > 0 && application != kApplicationId)
    return fail(ErrorCode::kFailedPrecondition, "{} {}: an SQLite file of another program; move it away or name another file", what_, path_);
  if (tables > 0 && version > kSchemaVersion)
    return fail(ErrorCode::kFailedPrecondition, "{} {}: written by a newer version of Flexpert: schema {}, known are up to {}", what_, path_,
                version, kSchemaVersion);
  if (mode == Mode::kRead) return {};
  FLEXPERT_TRY(execute("PRAGMA journal_mode = WAL"));
  FLEXPERT_TRY(execute("PRAGMA synchronous = NORMAL"));
  if (tables > 0 && version == kSchemaVersion) return {};
  const std::string schema = fmt::format("{} PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT", kSchema, kApplicationId, kSchemaVersion);
  return execute(schema.c_str());
}

std::unexpected<Error> Database::failed(std::string_view why) const {
  const int code = sqlite3_errcode(database_.get());
  const bool foreign = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
  return fail(foreign ? ErrorCode::kFailedPrecondition : ErrorCode::kUnavailable, "{} {}: {}: {}{}", what_, path_, why,
              sqlite3_errmsg(database_.get()), foreign ? "; move it away or name another file" : "");
}

Result<void> Database::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed("cannot write to it");
  return {};
}

Result<Statement> Database::compile(const char* sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql, -1, &raw, nullptr) != SQLITE_OK) return failed("cannot read it");
  return Statement(raw);
}

Result<std::int64_t> Database::number(const char* sql) {
  FLEXPERT_ASSIGN(const Statement statement, compile(sql));
  const int code = sqlite3_step(statement.get());
  if (code == SQLITE_DONE) return 0;
  if (code != SQLITE_ROW) return failed("cannot read it");
  return sqlite3_column_int64(statement.get(), 0);
}

}  // namespace flexpert::store
