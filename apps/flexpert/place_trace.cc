#include "flexpert/place_trace.h"

#include "codec/routing_trace.h"

namespace flexpert::app {

bool is_routing_name(const std::string& name) { return name.ends_with(".u8") || name.ends_with(".u8.gz"); }

Result<RoutingTrace> read_trace(const PlaceBytes& input, const PlaceOptions& options) {
  codec::RoutingTraceShape shape{.top_k = options.top_k, .layers = 0, .experts = options.experts};
  if (shape.top_k == 0) shape.top_k = codec::top_k_of_name(input.name).value_or(0);
  if (shape.top_k == 0)
    return fail(ErrorCode::kInvalidArgument, "--top-k N is needed: the name of a routing file says it only in the form x_top8.u8.gz: {}",
                input.name);
  const std::string index_name = codec::routing_index_name(input.name);
  auto index = read_place_bytes(index_name);
  if (!index) return fail(index.error().code, "a routing file needs the index of its requests beside it: {}", index.error().message);
  auto trace = codec::parse_routing_trace(input.bytes, index->bytes, shape);
  if (!trace) return fail(trace.error().with_context(input.name));
  return trace;
}

ExpertCounts counts_of(const RoutingTrace& trace) {
  ExpertCounts counts{trace.geometry, std::vector<double>(trace.geometry.size()), trace.tokens()};
  for (std::uint64_t token = 0; token < trace.tokens(); ++token)
    for (std::uint32_t layer = 0; layer < trace.geometry.layers; ++layer)
      for (const std::uint8_t expert : trace.choice(token, layer)) counts.count[trace.geometry.index({layer, expert})] += 1;
  return counts;
}

}  // namespace flexpert::app
