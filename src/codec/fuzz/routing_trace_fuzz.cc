// Any bytes as a routing file and its index: an error, or requests that cover the tokens and experts of the model.
#include <cstdint>
#include <cstdlib>

#include "codec/routing_trace.h"

// First byte: top-k (low 4 bits), layers (high 4 bits); then the index up to a line with "-" alone; then the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t end = text.find("\n-\n");
  if (end == std::string_view::npos) return 0;
  const flexpert::codec::RoutingTraceShape shape{.top_k = data[0] & 15u, .layers = std::uint32_t{data[0]} >> 4};
  const auto trace = flexpert::codec::parse_routing_trace(text.substr(end + 3), text.substr(0, end), shape);
  if (!trace) return 0;
  std::uint64_t tokens = 0;
  for (const auto& request : trace->requests) {
    if (request.first_token != tokens || request.topic.empty()) std::abort();
    tokens += request.tokens;
  }
  if (tokens == 0 || tokens != trace->tokens() || trace->experts.size() != tokens * trace->token_size()) std::abort();
  for (const std::uint8_t expert : trace->experts)
    if (expert >= trace->geometry.experts) std::abort();
  return 0;
}
