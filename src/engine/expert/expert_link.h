#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "codec/expert_protocol.h"
#include "fleet/routing_table.h"
#include "net/address.h"
#include "net/unique_fd.h"

namespace flexpert::engine {

/// A model server's connection to one expert server, driven by poll() from the engine thread: connects, checks hello,
/// and after a failure connects again with growing pauses. No call blocks.
class ExpertLink {
 public:
  enum class State { kDown, kConnecting, kGreeting, kLive };

  /// `hello` is what a server must match; it must outlive the link.
  ExpertLink(ExpertEndpoint endpoint, const expert_protocol::Hello& hello, Duration connect_timeout);

  [[nodiscard]] const ExpertEndpoint& endpoint() const { return endpoint_; }
  /// Tells whether the address is of this host: a Unix socket or the loopback.
  [[nodiscard]] bool on_this_host() const { return on_this_host_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool live() const { return state_ == State::kLive; }
  /// Descriptor and POLL* events to wait for; -1 while down.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] short wanted_events() const;
  /// What the server said of itself; valid while live.
  [[nodiscard]] const expert_protocol::HelloReply& server() const { return server_; }

  /// Begins to connect when the pause is over, and gives up a connect or hello that takes too long.
  void maintain(TimePoint now);
  /// Ends the pause after a failure.
  void retry_now() { retry_at_ = {}; }
  /// Does what the descriptor is ready for: finishes the connect, sends, receives. Errors: the connection failed; call fail().
  Result<void> on_ready(short events, TimePoint now);
  /// Returns the next whole frame of a live link; hello is dealt with inside. Errors as on_ready().
  Result<std::optional<expert_protocol::Frame>> next_frame();
  /// The frames to be sent; append, then call send().
  expert_protocol::Bytes& out() { return out_; }
  /// Sends what the kernel takes now. Errors as on_ready().
  Result<void> send();
  [[nodiscard]] bool unsent() const { return sent_ < out_.size(); }
  /// Closes after a failure; the pause before the next connect doubles with every failure in a row.
  void fail(TimePoint now);

  /// Why the server was refused, or refused us; empty after a hello that fits.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  /// Counts hellos that ended in a refusal.
  [[nodiscard]] std::uint64_t refusals() const { return refusals_; }

 private:
  Result<void> begin(TimePoint now);
  Result<void> receive();
  Result<void> finish_hello();
  Result<void> check_hello(const expert_protocol::Frame& frame);

  ExpertEndpoint endpoint_;
  const expert_protocol::Hello& hello_;
  Duration connect_timeout_;
  std::optional<net::Address> address_;
  bool on_this_host_ = false;
  net::UniqueFd fd_;
  State state_ = State::kDown;
  expert_protocol::FrameDecoder decoder_;
  expert_protocol::Bytes out_;
  std::size_t sent_ = 0;
  expert_protocol::HelloReply server_;
  std::string refusal_;
  std::uint64_t refusals_ = 0;
  TimePoint retry_at_{};
  TimePoint give_up_at_{};
  Duration pause_{};
};

}  // namespace flexpert::engine
