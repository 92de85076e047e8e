#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/expert_counts.h"

/// What the files of expert counts and expert maps have in common: dense arrays of numbers.
namespace flexpert::codec {

/// The most numbers that a reader takes from one array.
inline constexpr std::size_t kMaxArrayElements = std::size_t{64} << 20;
inline constexpr std::size_t kMaxArrayRank = 8;

/// A dense row-major array of numbers. Whole numbers up to 2^53 are exact.
struct NumberArray {
  std::vector<std::uint64_t> shape;
  std::vector<double> values;  ///< the product of `shape`

  bool operator==(const NumberArray&) const = default;
};

/// Returns the number of elements of `shape`. Errors: rank or elements beyond the limits above; begins with `what`.
Result<std::size_t> element_count(const std::vector<std::uint64_t>& shape, std::string_view what);

/// Returns "[58][256]".
std::string shape_text(const std::vector<std::uint64_t>& shape);

/// Makes counts of [layers][experts], or of each step of [steps][layers][experts]. Errors: another rank, an extent of 0,
/// a number that is not finite or negative; the message begins with `what` and names layer and expert.
Result<std::vector<ExpertCounts>> count_steps(const NumberArray& array, std::string_view what);

/// Adds counts up. Errors: none given, different geometries, a sum that is not finite.
Result<ExpertCounts> sum_of(const std::vector<ExpertCounts>& steps);

/// Returns the counts as an array [layers][experts].
NumberArray array_of(const ExpertCounts& counts);

}  // namespace flexpert::codec
