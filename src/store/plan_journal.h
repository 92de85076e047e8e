#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace flexpert::store {

/// One row of the planner's journal. A cycle has a plan; a start or checkpoint has none.
struct PlanRow {
  std::int64_t id = 0;
  std::int64_t unix_ms = 0;
  std::string kind;    ///< "start", "checkpoint", "cycle", or "dry_cycle": one that was not carried out
  bool news = false;   ///< something changed or was held back
  std::string config;  ///< hash of the configuration in force
  std::string record;  ///< start: the JournalStart; cycle: the snapshot that was planned from
  std::string plan;
};

/// The planner's cycles in the order run, and what it must remember to go on after a restart, in the same SQLite file as
/// the decisions. What commit() has returned for survives kill -9 of this process, all of it or nothing. Used by one thread
/// at a time; several processes may read while one writes.
class PlanJournal {
 public:
  using State = std::vector<std::pair<std::string, std::string>>;

  /// Opens `path`, made if it is not there. Errors: as Journal::open.
  static Result<std::unique_ptr<PlanJournal>> open(const std::string& path);
  /// Opens an existing file to read. Errors: as open(); kNotFound.
  static Result<std::unique_ptr<PlanJournal>> open_existing(const std::string& path);
  virtual ~PlanJournal() = default;

  /// Adds rows (their ids are made here) and replaces the named parts of the state, all at once.
  virtual Result<void> commit(const std::vector<PlanRow>& rows, const State& state) = 0;
  /// Returns one part of the state; empty if it was never written.
  [[nodiscard]] virtual Result<std::string> state(std::string_view key) = 0;
  /// Forgets all before the newest start or checkpoint that has at least `kept` rows behind it.
  virtual Result<void> prune(std::uint64_t kept) = 0;
  /// Returns the newest `limit` plans that are news, newest first.
  [[nodiscard]] virtual Result<std::vector<PlanRow>> newest(std::size_t limit) = 0;
  /// Calls `visit` with every row, oldest first, until it returns false.
  virtual Result<void> for_each(const std::function<bool(const PlanRow&)>& visit) = 0;
};

}  // namespace flexpert::store
