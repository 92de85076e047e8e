#pragma once

#include <cmath>
#include <string_view>

#include "base/result.h"

namespace flexpert::scaling {

/// Checks that `value` is a number in [low, high], or in (low, high] with `over_low`.
/// Errors: kInvalidArgument, "FIELD: VALUE is out of range; allowed: ...".
inline Result<void> check_range(std::string_view field, double value, double low, double high, bool over_low = false) {
  if (std::isfinite(value) && value <= high && (over_low ? value > low : value >= low)) return {};
  if (over_low) return fail(ErrorCode::kInvalidArgument, "{}: {} is out of range; allowed: a number over {} and up to {}", field, value, low, high);
  return fail(ErrorCode::kInvalidArgument, "{}: {} is out of range; allowed: a number from {} to {}", field, value, low, high);
}

inline constexpr double kLongestSeconds = 30 * 86400.0;
inline constexpr double kMostInstances = 100'000;
inline constexpr double kLargestMetric = 1e15;

}  // namespace flexpert::scaling
