#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "base/result.h"

/// What journals and the key store share: one SQLite file of ours with its schema. Private to src/store.
namespace flexpert::store {

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

/// An open file of ours. Used by one thread at a time.
class Database {
 public:
  enum class Mode { kWrite, kRead };
  /// Opens `path`; kWrite makes it if it is not there and brings its schema up to date. `what` it is goes into messages.
  /// Errors: kFailedPrecondition if the file is not one of ours or of a newer version; kUnavailable if it cannot be opened.
  static Result<Database> open(const std::string& path, Mode mode, std::string_view what = "journal");

  Result<void> execute(const char* sql);
  Result<Statement> compile(const char* sql);
  /// Returns the first column of the first row as a number; 0 if there is no row.
  Result<std::int64_t> number(const char* sql);
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(database_.get()) == 0; }
  /// Makes the error of the newest failure.
  [[nodiscard]] std::unexpected<Error> failed(std::string_view why) const;

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  Result<void> prepare(Mode mode);

  std::string path_;
  std::string_view what_;
  std::unique_ptr<sqlite3, Close> database_;
};

/// Binds text that lives until the statement is stepped.
inline void bind_text(sqlite3_stmt* statement, int index, std::string_view text) {
  sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

/// Returns a column as text; empty for NULL.
inline std::string text_of(sqlite3_stmt* statement, int column) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
}

/// Steps a statement that gives no rows, and makes it ready for its next use.
inline bool run(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return code == SQLITE_DONE;
}

}  // namespace flexpert::store
