#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/expert_slot.h"

namespace flexpert {

/// How many tokens chose each logical expert, over some time: SGLang's `logical_count`. Only MoE layers count as layers
/// here (a dense layer is a row of zeros where a source has one).
struct ExpertCounts {
  ExpertGeometry geometry;
  std::vector<double> count;  ///< geometry.size() numbers from 0 to kMostCount, row-major
  std::uint64_t tokens = 0;   ///< routed tokens that were counted; 0 = unknown

  [[nodiscard]] std::span<const double> layer(std::uint32_t index) const {
    return std::span(count).subspan(static_cast<std::size_t>(index) * geometry.experts, geometry.experts);
  }
  auto operator<=>(const ExpertCounts&) const = default;
};

/// More than any fleet routes. Sums of so large counts, and their quotients, stay far from what a float can hold.
inline constexpr double kMostCount = 1e30;

/// A layer with less in all counts as one without load: decayed counts may be next to nothing, and quotients of the smallest
/// numbers are not to be reckoned with.
inline constexpr double kLeastLoad = 1e-250;

/// Checks the size, and that every count is a number from 0 to kMostCount; the message names layer and expert.
Result<void> validate(const ExpertCounts& counts);

}  // namespace flexpert
