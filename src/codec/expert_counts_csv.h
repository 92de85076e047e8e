#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "fleet/expert_counts.h"

/// Expert counts as comma-separated values, in one of two forms:
/// - a table: one line a layer, one number an expert; a first line of names is skipped, and so is a first column
///   called `layer`, which must count 0, 1, 2, ...
/// - a list: a first line with the columns `layer`, `expert` and `count` in any order, then one line each; what is not
///   listed is 0, and nothing may be there twice.
/// Separators are comma, semicolon or tab, the same throughout; empty lines and lines that begin with # are skipped.
namespace flexpert::codec {

/// Reads either form. Errors: no numbers, lines of different lengths, a number that is not finite or negative, a layer
/// and expert twice, more than 64 Mi numbers; the message names the line, and layer and expert.
Result<ExpertCounts> parse_expert_counts_csv(std::string_view text);

/// Writes a table with a first line `layer,0,1,2,...`.
std::string write_expert_counts_csv(const ExpertCounts& counts);

}  // namespace flexpert::codec
