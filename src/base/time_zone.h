#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flexpert {

/// A zone's rules as plain data: from each instant on, so many seconds east of UTC. UTC without any. Where they come
/// from (the system's tz database) is the configuration reader's business.
struct TimeZone {
  struct Change {
    std::int64_t unix_s = 0;
    std::int32_t offset_s = 0;
  };
  std::string name = "UTC";
  std::int32_t first_offset_s = 0;  ///< before the first change
  std::vector<Change> changes;      ///< ascending

  /// Returns seconds east of UTC at that instant.
  [[nodiscard]] std::int32_t offset_at(std::int64_t unix_s) const;
};

}  // namespace flexpert
