#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fleet/routing_trace.h"

/// A routing file: unsigned bytes [tokens][layers][top_k], the experts that each token chose, plain or as gzip, and beside
/// it an index of its requests, `request,dataset,category,row_index,prompt_tokens,decode_tokens,first_token,finished`.
namespace flexpert::codec {

struct RoutingTraceShape {
  std::uint32_t top_k = 0;    ///< 0: from `layers`
  std::uint32_t layers = 0;   ///< 0: from `top_k`; the index knows the tokens, so one of the two gives the other
  std::uint32_t experts = 0;  ///< 0: one more than the highest in the file, rounded up to a multiple of 8
};

/// Returns the number after "top" in a file's name ("x_top4.u8.gz": 4), nothing without one.
std::optional<std::uint32_t> top_k_of_name(std::string_view file_name);

/// Returns the name of the index beside a routing file: "x_index.csv" for "x_top4.u8.gz" and "x.u8", folders kept.
std::string routing_index_name(std::string_view file_name);

/// Reads a routing file and its index. The index's columns go by their names: `dataset` (the topic), `decode_tokens` and
/// `first_token` must be there, `category` may be; others are not read. Requests must follow each other without gaps and
/// cover the file. Errors name the line of the index, or the token and layer, and what to do.
Result<RoutingTrace> parse_routing_trace(std::string_view bytes, std::string_view index, const RoutingTraceShape& shape);

}  // namespace flexpert::codec
