#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"

namespace flexpert::scaling {

/// Rows of every (layer, expert), row-major, and routed tokens, counted since some fixed moment. Never goes down.
struct CumulativeLoads {
  TimePoint at{};
  std::uint64_t tokens = 0;
  std::vector<std::uint64_t> rows;
};

/// Adds the cumulative counters of several model servers up to one count that never goes down: a server that was
/// restarted begins at zero again, and what it had counted before stays counted. What a server counted before its
/// first report is not: nobody knows over which time.
class LoadAccumulator {
 public:
  explicit LoadAccumulator(std::size_t slots) { total_.rows.assign(slots, 0); }

  /// Takes the newest counters of `source`. Counters of another number of slots are ignored, which it returns as false.
  bool add(const std::string& source, TimePoint at, std::uint64_t tokens, const std::vector<std::uint64_t>& rows);
  [[nodiscard]] const CumulativeLoads& total() const { return total_; }

 private:
  struct Last {
    std::uint64_t tokens = 0;
    std::vector<std::uint64_t> rows;
  };
  std::map<std::string, Last> last_;
  CumulativeLoads total_;
};

}  // namespace flexpert::scaling
