#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"

/// One entry for every form that counts and layouts come in. The form is told by the first bytes: PK is .pt or .npz,
/// \x93NUMPY is .npy, { and [ are JSON, 1f 8b is gzip around any of them, and what is left is CSV.
namespace flexpert::codec {

/// The most bytes that a gzip file may unpack to.
inline constexpr std::size_t kMaxUnpackedBytes = std::size_t{1} << 30;

/// Reads counts, step by step: one step for a form or file without steps. `path` selects within a bundle: `tasks.law` in
/// JSON, an array's name in .npz; empty elsewhere.
Result<std::vector<ExpertCounts>> read_count_steps(std::string_view bytes, std::string_view path = "");

/// Reads counts, steps added up.
Result<ExpertCounts> read_counts(std::string_view bytes, std::string_view path = "");

struct LayoutShape {
  std::uint32_t devices = 0;  ///< 0: as the file says
  std::uint32_t layers = 0;   ///< 0: as the file says; needed for `trivial`, and for a map of one layer
  std::uint32_t experts = 0;  ///< 0: as the file shows; needed for `trivial`
  std::uint32_t slots = 0;    ///< of a layer; 0: as the file says; needed for `trivial`
};

/// Reads a layout: the word `trivial`; SGLang's and vLLM's maps in JSON, .pt or .npy; a recorder's dump with the map in
/// force; our own placement file. Errors: counts where a map is needed, a shape that contradicts the file.
Result<ExpertLayout> read_layout(std::string_view bytes, const LayoutShape& shape);

}  // namespace flexpert::codec
