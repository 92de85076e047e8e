#include "base/time_zone.h"

#include <algorithm>

namespace flexpert {

std::int32_t TimeZone::offset_at(std::int64_t unix_s) const {
  const auto later = std::upper_bound(changes.begin(), changes.end(), unix_s, [](std::int64_t at, const Change& change) { return at < change.unix_s; });
  return later == changes.begin() ? first_offset_s : std::prev(later)->offset_s;
}

}  // namespace flexpert
