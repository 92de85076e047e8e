#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "gateway/model_server.h"
#include "http/outbound.h"
#include "net/deadline_timer.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

/// What an upstream answered to a probe.
struct ProbeAnswer {
  int status = 0;
  std::string body;  ///< at most 1 MiB
};

/// One GET to one upstream over its own kind of connection, with a deadline for all of it. Belongs to the loop's thread; destroying it
/// forgets the probe.
class UpstreamProbe final : private http::OutboundListener {
 public:
  using Done = std::move_only_function<void(Result<ProbeAnswer>)>;

  /// `grant`: a value of X-Flexpert-Grant, for a server of ours that wants one; empty: none. `done` runs once, never from inside the constructor, and may destroy the probe. Errors: kUnavailable, kDeadlineExceeded,
  /// kResourceExhausted (the answer is too long). `upstream` outlives the probe.
  UpstreamProbe(net::EventLoop& loop, http::OutboundUpstream& upstream, const ModelServer& server, std::string_view path, std::string_view grant,
                Duration timeout, Done done);
  ~UpstreamProbe() override;
  UpstreamProbe(const UpstreamProbe&) = delete;
  UpstreamProbe& operator=(const UpstreamProbe&) = delete;

 private:
  void on_head(const codec::Http1ResponseView& head) override { answer_.status = head.status; }
  void on_body(std::string_view piece) override;
  void on_end() override;
  void on_error(http::OutboundFailure failure, const Error& error) override;
  void conclude(Result<ProbeAnswer> answer);

  std::string head_;
  ProbeAnswer answer_;
  Done done_;
  net::DeadlineTimer deadline_;
  http::OutboundRequest* sent_ = nullptr;
};

}  // namespace flexpert::gateway
