#include "store/plan_journal.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "store/database.h"

namespace flexpert::store {
namespace {

PlanRow row_of(sqlite3_stmt* statement) {
  return {sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1), text_of(statement, 2),
          sqlite3_column_int(statement, 3) != 0, text_of(statement, 4), text_of(statement, 5), text_of(statement, 6)};
}

class SqlitePlanJournal final : public PlanJournal {
 public:
  explicit SqlitePlanJournal(Database database) : database_(std::move(database)) {}

  Result<void> prepare() {
    FLEXPERT_ASSIGN(insert_, database_.compile("INSERT INTO cycles(unix_ms, kind, news, config, record, plan) VALUES(?, ?, ?, ?, ?, ?)"));
    FLEXPERT_ASSIGN(put_, database_.compile("INSERT INTO state(key, value) VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"));
    FLEXPERT_ASSIGN(get_, database_.compile("SELECT value FROM state WHERE key = ?"));
    FLEXPERT_ASSIGN(all_, database_.compile("SELECT id, unix_ms, kind, news, config, record, plan FROM cycles ORDER BY id"));
    FLEXPERT_ASSIGN(newest_, database_.compile("SELECT id, unix_ms, kind, news, config, '', plan FROM cycles WHERE news = 1 ORDER BY id DESC LIMIT ?"));
    FLEXPERT_ASSIGN(prune_, database_.compile("DELETE FROM cycles WHERE id < (SELECT max(id) FROM cycles WHERE plan IS NULL AND id <= "
                                              "(SELECT max(id) FROM cycles) - ?)"));
    return {};
  }

  Result<void> commit(const std::vector<PlanRow>& rows, const State& state) override {
    FLEXPERT_TRY(database_.execute("BEGIN IMMEDIATE"));
    Result<void> written = write(rows, state);
    if (written) written = database_.execute("COMMIT");
    // SQLite itself has undone it after some errors; after others, and after a COMMIT that failed, it is still open.
    if (!written && database_.in_transaction())
      if (const auto undone = database_.execute("ROLLBACK"); !undone) return fail(undone.error());
    return written;
  }

  Result<std::string> state(std::string_view key) override {
    bind_text(get_.get(), 1, key);
    const int code = sqlite3_step(get_.get());
    Result<std::string> result = code == SQLITE_ROW ? text_of(get_.get(), 0) : std::string();
    if (code != SQLITE_ROW && code != SQLITE_DONE) result = database_.failed("cannot read its state");
    sqlite3_reset(get_.get());
    return result;
  }

  Result<void> prune(std::uint64_t kept) override {
    sqlite3_bind_int64(prune_.get(), 1, static_cast<std::int64_t>(std::min<std::uint64_t>(kept, std::numeric_limits<std::int64_t>::max())));
    if (!run(prune_.get())) return database_.failed("cannot remove old rows");
    return {};
  }

  Result<std::vector<PlanRow>> newest(std::size_t limit) override {
    const auto most = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    sqlite3_bind_int64(newest_.get(), 1, static_cast<std::int64_t>(std::min(limit, most)));
    std::vector<PlanRow> rows;
    FLEXPERT_TRY(visit(newest_.get(), [&](const PlanRow& row) {
      rows.push_back(row);
      return true;
    }));
    return rows;
  }

  Result<void> for_each(const std::function<bool(const PlanRow&)>& each) override { return visit(all_.get(), each); }

 private:
  Result<void> visit(sqlite3_stmt* statement, const std::function<bool(const PlanRow&)>& each) {
    int code = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
      if (!each(row_of(statement))) break;
    Result<void> result;
    if (code != SQLITE_DONE && code != SQLITE_ROW) result = database_.failed("cannot read it");
    sqlite3_reset(statement);
    return result;
  }

  Result<void> write(const std::vector<PlanRow>& rows, const State& state) {
    for (const PlanRow& row : rows) {
      sqlite3_stmt* statement = insert_.get();
      sqlite3_bind_int64(statement, 1, row.unix_ms);
      bind_text(statement, 2, row.kind);
      sqlite3_bind_int(statement, 3, row.news ? 1 : 0);
      bind_text(statement, 4, row.config);
      bind_text(statement, 5, row.record);
      if (!row.plan.empty()) bind_text(statement, 6, row.plan);
      if (!run(statement)) return database_.failed("cannot add a row");
    }
    for (const auto& [key, value] : state) {
      bind_text(put_.get(), 1, key);
      bind_text(put_.get(), 2, value);
      if (!run(put_.get())) return database_.failed("cannot write its state");
    }
    return {};
  }

  Database database_;
  Statement insert_, put_, get_, all_, newest_, prune_;  // after database_, so that they go first
};

Result<std::unique_ptr<PlanJournal>> open_in(const std::string& path, Database::Mode mode) {
  FLEXPERT_ASSIGN(Database database, Database::open(path, mode));
  auto journal = std::make_unique<SqlitePlanJournal>(std::move(database));
  if (auto prepared = journal->prepare(); !prepared && mode == Database::Mode::kRead)
    return fail(ErrorCode::kFailedPrecondition, "journal {}: it has no cycles of a pool planner: {}", path, prepared.error().message);
  else
    FLEXPERT_TRY(std::move(prepared));
  return std::unique_ptr<PlanJournal>(std::move(journal));
}

}  // namespace

Result<std::unique_ptr<PlanJournal>> PlanJournal::open(const std::string& path) { return open_in(path, Database::Mode::kWrite); }

Result<std::unique_ptr<PlanJournal>> PlanJournal::open_existing(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return fail(ErrorCode::kNotFound, "there is no journal at {}", path);
  return open_in(path, Database::Mode::kRead);
}

}  // namespace flexpert::store
