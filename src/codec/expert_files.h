#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/expert_counts.h"

/// One entry for every form that counts come in. The form is told by the first bytes: PK is .pt or .npz,
/// \x93NUMPY is .npy, { and [ are JSON, 1f 8b is gzip around any of them, and what is left is CSV.
namespace flexpert::codec {

/// The most bytes that a gzip file may unpack to.
inline constexpr std::size_t kMaxUnpackedBytes = std::size_t{1} << 30;

/// Reads counts, step by step: one step for a form or file without steps. `path` selects within a bundle: `tasks.law` in
/// JSON, an array's name in .npz; empty elsewhere.
Result<std::vector<ExpertCounts>> read_count_steps(std::string_view bytes, std::string_view path = "");

/// Reads counts, steps added up.
Result<ExpertCounts> read_counts(std::string_view bytes, std::string_view path = "");

}  // namespace flexpert::codec
