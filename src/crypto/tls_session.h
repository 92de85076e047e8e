#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/tls_context.h"

namespace flexpert::crypto {

/// One TLS connection over a connected, non-blocking socket that somebody else owns and watches. It never blocks and raises no
/// SIGPIPE. Not thread-safe.
class TlsSession {
 public:
  /// The server's side.
  TlsSession(const TlsContext& server, int fd);
  /// The client's side. The certificate must be for `host`, a DNS name or an IP address.
  TlsSession(const TlsContext& client, int fd, const std::string& host);
  TlsSession(TlsSession&& other) noexcept;
  TlsSession& operator=(TlsSession&&) = delete;
  ~TlsSession();

  enum class Outcome {
    kDone,       ///< for read and write: `bytes` were moved, at least one
    kWantRead,   ///< go on when the socket can be read
    kWantWrite,  ///< go on when the socket can be written
    kEnded,      ///< the peer has said that it sends no more (close_notify); only read()
    kFailed,     ///< the connection is of no more use: see error(); also when it ends without close_notify
  };

  /// Goes on with the handshake. Must say kDone before anything else is called.
  Outcome handshake();
  [[nodiscard]] bool handshake_done() const { return handshake_done_; }

  /// Reads up to `room` bytes. With kDone there may be more.
  Outcome read(char* to, std::size_t room, std::size_t& bytes);
  /// Sends a piece, at most one record at a time. What was not taken must be the beginning of what the next write() sends.
  Outcome write(const char* from, std::size_t size, std::size_t& bytes);
  /// Tells the peer that no more will be sent. What does not go out at once does not go out.
  void send_close_notify();

  /// What failed, in one line.
  [[nodiscard]] const std::string& error() const { return error_; }
  /// "TLSv1.3"; after the handshake.
  [[nodiscard]] std::string_view version() const;
  /// "http/1.1", or empty if the peer negotiated nothing.
  [[nodiscard]] std::string_view protocol() const;
  /// Whether the handshake resumed an earlier session.
  [[nodiscard]] bool resumed() const;

 private:
  Outcome outcome_of(int result, bool reading);

  void* ssl_;  ///< SSL
  bool handshake_done_ = false;
  bool failed_ = false;
  std::string error_;
};

}  // namespace flexpert::crypto
