#include "placement/replay_stream.h"

#include <algorithm>

namespace flexpert::placement {

/// Starts requests while there is room; those of another topic wait until nothing runs.
void ReplayStream::admit() {
  while (running_.size() < concurrent_ && next_request_ < trace_->requests.size()) {
    const RoutingTrace::Request& request = trace_->requests[next_request_];
    if (running_.empty()) step_.topic = &request.topic;
    if (request.topic != *step_.topic) return;
    ++next_request_;
    if (request.tokens > 0) running_.emplace_back(request.first_token, request.first_token + request.tokens);
  }
}

const ReplayStep* ReplayStream::next() {
  std::erase_if(running_, [](const auto& request) { return request.first == request.second; });
  admit();
  if (running_.empty()) return nullptr;
  step_.tokens.clear();
  for (auto& request : running_) step_.tokens.push_back(request.first++);
  return &step_;
}

}  // namespace flexpert::placement
