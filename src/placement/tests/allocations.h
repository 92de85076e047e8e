#pragma once

#include <cstdint>

namespace flexpert::placement {

/// Returns how often this thread has called operator new in the test program so far.
std::uint64_t allocations();

}  // namespace flexpert::placement
