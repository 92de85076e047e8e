#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace flexpert::bench {

/// How fast an emulated engine is.
struct PacedEngine {
  std::uint32_t slots = 16;               ///< requests that it computes at once; more wait there, first come, first served
  Duration first_token = Milliseconds(200);
  Duration token = Milliseconds(20);      ///< between two tokens of one answer, however full it is
};

/// EMULATION of engines: OpenAI-compatible servers in a process of their own that compute nothing, and emit `max_tokens` tokens at a
/// fixed pace by timers. A request whose client goes away gives its slot back.
class PacedUpstreams {
 public:
  /// Starts `count` of them, each with a port of its own.
  static Result<std::unique_ptr<PacedUpstreams>> start(std::size_t count, PacedEngine engine);
  ~PacedUpstreams();
  PacedUpstreams(const PacedUpstreams&) = delete;
  PacedUpstreams& operator=(const PacedUpstreams&) = delete;
  [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return ports_; }

 private:
  PacedUpstreams() = default;
  pid_t pid_ = -1;
  std::vector<std::uint16_t> ports_;
};

}  // namespace flexpert::bench
