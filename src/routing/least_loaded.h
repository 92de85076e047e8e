#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace flexpert::routing {

/// What a choice is made by: instances and expert groups alike.
struct LoadView {
  double load = 0;              ///< requests in flight plus what the instance itself reports
  std::uint64_t last_used = 0;  ///< grows with use; 0 = never
};

/// Returns the index of the smallest load; among equals the least recently used, so that equals take turns; among
/// equals in that too, the first. None if there is nothing to choose from.
std::optional<std::size_t> pick_least_loaded(std::span<const LoadView> candidates);

}  // namespace flexpert::routing
