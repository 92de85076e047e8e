#include "store/journal.h"

#include <algorithm>
#include <limits>

#include "store/database.h"

namespace flexpert::store {
namespace {

class SqliteJournal final : public Journal {
 public:
  explicit SqliteJournal(Database database) : database_(std::move(database)) {}

  Result<void> prepare() {
    FLEXPERT_ASSIGN(insert_, database_.compile("INSERT INTO decisions(unix_ms, json) VALUES(?, ?)"));
    FLEXPERT_ASSIGN(select_, database_.compile("SELECT json FROM decisions ORDER BY id DESC LIMIT ?"));
    return {};
  }

  Result<void> append(std::int64_t unix_ms, std::string_view json) override {
    sqlite3_bind_int64(insert_.get(), 1, unix_ms);
    bind_text(insert_.get(), 2, json);
    if (!run(insert_.get())) return database_.failed("cannot add a row");
    return {};
  }

  Result<std::vector<std::string>> newest(std::size_t limit) override {
    sqlite3_stmt* statement = select_.get();
    const auto most = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    sqlite3_bind_int64(statement, 1, static_cast<std::int64_t>(std::min(limit, most)));
    std::vector<std::string> documents;
    int code = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) documents.push_back(text_of(statement, 0));
    Result<std::vector<std::string>> result = std::move(documents);
    if (code != SQLITE_DONE) result = database_.failed("cannot read it");
    sqlite3_reset(statement);
    return result;
  }

 private:
  Database database_;
  Statement insert_;  // after database_, so that it goes first
  Statement select_;
};

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path) {
  FLEXPERT_ASSIGN(Database database, Database::open(path, Database::Mode::kWrite));
  auto journal = std::make_unique<SqliteJournal>(std::move(database));
  FLEXPERT_TRY(journal->prepare());
  return std::unique_ptr<Journal>(std::move(journal));
}

}  // namespace flexpert::store
