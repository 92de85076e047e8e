#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "crypto/tls_context.h"
#include "crypto/tls_session.h"
#include "net/unique_fd.h"

namespace flexpert::net {

/// The bytes of one connected, non-blocking socket: where reading and writing meet the kernel, and where TLS happens. It
/// buffers nothing and watches nothing; its owner does, edge-triggered. No member throws or blocks.
class Channel {
 public:
  Channel() = default;
  explicit Channel(UniqueFd connected) : fd_(std::move(connected)) {}
  /// The server's side of a TLS connection.
  Channel(UniqueFd connected, const crypto::TlsContext& server);
  /// The client's side of one, to the server whose certificate names `host`.
  Channel(UniqueFd connected, const crypto::TlsContext& client, const std::string& host);

  enum class Handshake { kDone, kGoesOn, kFailed };
  /// Goes on with the handshake of TLS: at once for a server, when connected for a client, and at every event until it says
  /// something else than kGoesOn. A read() does the same; nothing may be written before it is done. Without TLS: kDone.
  Handshake handshake();
  [[nodiscard]] bool secure() const { return tls_ != nullptr; }

  struct Taken {
    std::size_t bytes = 0;
    bool drained = false;  ///< nothing more is there now: the next event will tell
    bool ended = false;    ///< the peer sends no more; over TLS only if it said so
    int error = 0;         ///< errno of a connection that broke; see describe()
  };
  /// Reads up to `room` bytes.
  Taken read(char* to, std::size_t room);
  /// Whether the last read() or handshake() goes on when the socket can be written, which only TLS needs.
  [[nodiscard]] bool read_awaits_writable() const { return read_awaits_writable_; }

  struct Sent {
    std::size_t bytes = 0;
    int error = 0;  ///< errno of a connection that broke
  };
  /// Sends what the kernel takes now. What it did not take must be the beginning of what is written next.
  Sent write(const char* from, std::size_t bytes);
  Sent write(std::span<const iovec> parts);

  /// Says that no more will be sent.
  void shut_down_writing();
  /// Closes so that a TCP peer sees a reset, never an orderly end.
  void reset();
  void close();
  /// Says what an `error` of read() or write() was.
  [[nodiscard]] std::string describe(int error) const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool open() const { return static_cast<bool>(fd_); }

 private:
  Taken read_tls(char* to, std::size_t room);
  Sent write_tls(const char* from, std::size_t bytes);

  UniqueFd fd_;
  std::unique_ptr<crypto::TlsSession> tls_;
  bool read_awaits_writable_ = false;
};

}  // namespace flexpert::net
