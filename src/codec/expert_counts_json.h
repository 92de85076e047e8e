#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/expert_counts.h"

/// Expert counts in JSON, as SGLang's `--init-expert-location` takes them: {"logical_count": [layers][experts]} or
/// {"logical_count": [steps][layers][experts]}. Other keys beside it are ignored, as SGLang does. Layers without
/// experts (DeepSeek-V3's first three) are rows of zeros.
namespace flexpert::codec {

/// Reads the counts, steps added up. Errors: not JSON, no logical_count, ragged rows, wrong nesting, a count that is no
/// number >= 0, more than 64 Mi numbers or 256 MiB of text; the message names the place.
Result<ExpertCounts> parse_expert_counts_json(std::string_view text);

/// Reads the counts at `path` of a file that bundles several: `tasks.law`, `domains[3]`. The path may name the object
/// with the `logical_count`, or the array itself; empty: the root. An error for a wrong path says what there is.
Result<ExpertCounts> counts_at(std::string_view text, std::string_view path);

/// Like counts_at(), but every step by itself; one for [layers][experts].
Result<std::vector<ExpertCounts>> count_steps_at(std::string_view text, std::string_view path);

/// Returns the paths of all objects with a `logical_count`, in the file's order, at most 1,000; "" is the root.
Result<std::vector<std::string>> count_paths(std::string_view text);

/// Writes {"logical_count": [layers][experts]}, on one line. Numbers read back exactly.
std::string write_expert_counts_json(const ExpertCounts& counts);

/// Writes {"logical_count": [steps][layers][experts]}. Precondition: one geometry.
std::string write_count_steps_json(const std::vector<ExpertCounts>& steps);

}  // namespace flexpert::codec
