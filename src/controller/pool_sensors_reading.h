#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fleet/decision.h"
#include "fleet/pool_snapshot.h"

namespace flexpert::controller {

/// A value and the moment at which it was true.
struct TimedValue {
  double value = 0;
  TimePoint at;
};

using TimedMap = std::map<std::string, TimedValue, std::less<>>;

/// What one source knows of one pool, by the names of metric_names.h.
struct SourceReading {
  TimedMap pool;
  std::map<InstanceId, TimedMap> instances;
  std::vector<Reason> conditions;
};

/// Puts a value where it belongs unless it is one that cannot be (NaN, infinite, negative): then a condition
/// "metric_invalid" names it, with `whose` it is. Returns whether it was put.
bool put(TimedMap& into, std::string_view name, TimedValue value, const std::string& whose, std::vector<Reason>& conditions);

}  // namespace flexpert::controller
