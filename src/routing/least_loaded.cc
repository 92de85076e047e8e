#include "routing/least_loaded.h"

#include <algorithm>
#include <utility>

namespace flexpert::routing {

std::optional<std::size_t> pick_least_loaded(std::span<const LoadView> candidates) {
  const auto best = std::min_element(candidates.begin(), candidates.end(), [](const LoadView& a, const LoadView& b) {
    return std::pair(a.load, a.last_used) < std::pair(b.load, b.last_used);
  });
  if (best == candidates.end()) return std::nullopt;
  return static_cast<std::size_t>(best - candidates.begin());
}

}  // namespace flexpert::routing
