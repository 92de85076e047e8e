#include "store/journal.h"

#include <sqlite3.h>

#include <algorithm>
#include <limits>

namespace flexpert::store {
namespace {

constexpr int kApplicationId = 0x466C7870;  // "Flxp"
constexpr int kSchemaVersion = 1;

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

class SqliteJournal final : public Journal {
 public:
  SqliteJournal(std::string path, Database database) : path_(std::move(path)), database_(std::move(database)) {}

  Result<void> prepare();
  Result<void> append(std::int64_t unix_ms, std::string_view json) override;
  Result<std::vector<std::string>> newest(std::size_t limit) override;

 private:
  [[nodiscard]] std::unexpected<Error> failed(std::string_view what) const {
    const int code = sqlite3_errcode(database_.get());
    const bool foreign = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
    return fail(foreign ? ErrorCode::kFailedPrecondition : ErrorCode::kUnavailable, "journal {}: {}: {}{}", path_, what,
                sqlite3_errmsg(database_.get()), foreign ? "; move it away or name another file" : "");
  }
  Result<void> execute(const char* sql) {
    if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed("cannot set it up");
    return {};
  }
  Result<int> number(const char* sql) {
    FLEXPERT_ASSIGN(const Statement statement, compile(sql));
    if (sqlite3_step(statement.get()) != SQLITE_ROW) return failed("cannot read it");
    return sqlite3_column_int(statement.get(), 0);
  }
  Result<Statement> compile(const char* sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql, -1, &raw, nullptr) != SQLITE_OK) return failed("cannot read it");
    return Statement(raw);
  }

  std::string path_;
  Database database_;
  Statement insert_;  // after database_, so that it goes first
  Statement select_;
};

Result<void> SqliteJournal::prepare() {
  sqlite3_busy_timeout(database_.get(), 2000);
  FLEXPERT_ASSIGN(const int tables, number("SELECT count(*) FROM sqlite_master"));
  FLEXPERT_ASSIGN(const int application, number("PRAGMA application_id"));
  FLEXPERT_ASSIGN(const int version, number("PRAGMA user_version"));
  if (tables > 0 && application != kApplicationId)
    return fail(ErrorCode::kFailedPrecondition, "journal {}: an SQLite file of another program; move it away or name another file", path_);
  if (tables > 0 && version > kSchemaVersion)
    return fail(ErrorCode::kFailedPrecondition, "journal {}: written by a newer version of Flexpert: schema {}, known are up to {}", path_,
                version, kSchemaVersion);
  FLEXPERT_TRY(execute("PRAGMA journal_mode = WAL"));
  FLEXPERT_TRY(execute("PRAGMA synchronous = NORMAL"));
  if (tables == 0) {
    const std::string schema = fmt::format(
        "BEGIN IMMEDIATE;"
        "CREATE TABLE IF NOT EXISTS decisions(id INTEGER PRIMARY KEY, unix_ms INTEGER NOT NULL, json TEXT NOT NULL);"
        "PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT",
        kApplicationId, kSchemaVersion);
    FLEXPERT_TRY(execute(schema.c_str()));
  }
  FLEXPERT_ASSIGN(insert_, compile("INSERT INTO decisions(unix_ms, json) VALUES(?, ?)"));
  FLEXPERT_ASSIGN(select_, compile("SELECT json FROM decisions ORDER BY id DESC LIMIT ?"));
  return {};
}

Result<void> SqliteJournal::append(std::int64_t unix_ms, std::string_view json) {
  sqlite3_stmt* statement = insert_.get();
  sqlite3_bind_int64(statement, 1, unix_ms);
  sqlite3_bind_text64(statement, 2, json.data(), json.size(), SQLITE_STATIC, SQLITE_UTF8);
  const int code = sqlite3_step(statement);
  Result<void> result;
  if (code != SQLITE_DONE) result = failed("cannot add a row");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return result;
}

Result<std::vector<std::string>> SqliteJournal::newest(std::size_t limit) {
  sqlite3_stmt* statement = select_.get();
  const auto most = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  sqlite3_bind_int64(statement, 1, static_cast<std::int64_t>(std::min(limit, most)));
  std::vector<std::string> documents;
  int code = 0;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    const auto* text = static_cast<const char*>(sqlite3_column_blob(statement, 0));
    documents.emplace_back(text == nullptr ? "" : text, static_cast<std::size_t>(sqlite3_column_bytes(statement, 0)));
  }
  Result<std::vector<std::string>> result = std::move(documents);
  if (code != SQLITE_DONE) result = failed("cannot read it");
  sqlite3_reset(statement);
  return result;
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  Database database(raw);
  if (code != SQLITE_OK)
    return fail(ErrorCode::kUnavailable, "journal {}: cannot open it: {}", path, raw == nullptr ? "out of memory" : sqlite3_errmsg(raw));
  auto journal = std::make_unique<SqliteJournal>(path, std::move(database));
  FLEXPERT_TRY(journal->prepare());
  return std::unique_ptr<Journal>(std::move(journal));
}

}  // namespace flexpert::store
