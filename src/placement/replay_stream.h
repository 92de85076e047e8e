#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fleet/routing_trace.h"

namespace flexpert::placement {

/// Tokens that an engine computes together: one of each running request.
struct ReplayStep {
  const std::string* topic = nullptr;   ///< of the trace
  std::vector<std::uint64_t> tokens;    ///< of the trace
};

/// Plays a trace as an engine would decode it: topics one after another, a topic being a run of requests of one name;
/// within a topic up to `concurrent` requests run, each step takes one token of each, and a finished request is replaced by
/// the topic's next. The last steps of a topic are smaller.
class ReplayStream {
 public:
  /// Refers to `trace`. Precondition: `concurrent` > 0.
  ReplayStream(const RoutingTrace& trace, std::uint32_t concurrent) : trace_(&trace), concurrent_(concurrent) {}
  /// Returns the next step, nothing at the end. Valid until the next call.
  const ReplayStep* next();

 private:
  void admit();

  const RoutingTrace* trace_;
  std::uint32_t concurrent_;
  std::size_t next_request_ = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> running_;  // next token, end
  ReplayStep step_;
};

}  // namespace flexpert::placement
