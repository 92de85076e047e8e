#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/http1_view.h"
#include "crypto/tls_context.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/unique_fd.h"

/// The data plane's server side: one HTTP/1.1 exchange at a time per connection, heads and bodies as views into the
/// connection's own buffer, nothing allocated per request in the steady state. http::Server is a convenience on top of it.
namespace flexpert::http {

struct InboundLimits {
  std::size_t max_head_bytes = 32 * 1024;
  std::size_t max_body_bytes = 4 * 1024 * 1024;         ///< over it: 413
  Duration head_timeout = Seconds(10);                  ///< from a head's first byte to its last
  Duration body_idle_timeout = Seconds(10);             ///< between two pieces of a body
  std::uint64_t min_body_bytes_per_s = 1024;            ///< slower than this on average, after body_grace: 408 and closed
  Duration body_grace = Seconds(10);
  Duration idle_timeout = Seconds(75);                  ///< between two requests
  std::size_t max_connections = 10'000;
  std::size_t max_connections_per_peer = 0;             ///< per IP address; 0 = no limit
  std::size_t high_watermark_bytes = 256 * 1024;        ///< of an answer not yet taken: write() then returns false
  std::size_t max_buffered_bytes = 4 * 1024 * 1024;     ///< over it the client is cut off
  Duration write_timeout = Seconds(60);                 ///< a client that takes nothing for so long is cut off
  std::size_t max_requests_per_connection = 0;          ///< 0 = no limit
  bool send_date = true;                                ///< answers carry a Date
};

class InboundExchange;

/// Hears of one exchange, on the loop's thread and never from inside a call to it. It may end the exchange in any call.
class InboundListener {
 public:
  virtual ~InboundListener() = default;
  /// The client has gone before the answer's end: the exchange must not be used any more.
  virtual void on_client_gone() = 0;
  /// What was buffered has been taken, after write() had returned false.
  virtual void on_writable() {}
};

/// One request and its answer: either respond() once, or start(), write()s and finish(). Owned by its connection; valid from
/// on_head() until the answer is over or on_client_gone(). Views of it hold as long.
class InboundExchange {
 public:
  virtual ~InboundExchange() = default;
  [[nodiscard]] virtual const codec::Http1RequestView& head() const = 0;
  /// The whole body, contiguous, framing removed; empty before on_request(). 64 readable bytes follow it (simdjson's padding).
  [[nodiscard]] virtual std::string_view body() const = 0;
  /// "203.0.113.7:40312" or "unix".
  [[nodiscard]] virtual std::string_view peer() const = 0;
  [[nodiscard]] virtual bool secure() const = 0;  ///< over TLS
  virtual void set_listener(InboundListener* listener) = 0;

  /// Gives back the memory of the request: head() and body() must not be asked, nor views of them used, any more. For long streams.
  virtual void release_request() = 0;
  /// Ends the connection after this answer. Call it before the answer begins.
  virtual void close_after_answer() = 0;

  /// Answers whole. `field_lines` were made with codec::append_http1_field; Content-Length, Connection and Date are added here.
  virtual void respond(int status, std::string_view field_lines, std::string_view body) = 0;
  /// Begins an answer: with Content-Length, or chunked (until close for HTTP/1.0) without one.
  virtual void start(int status, std::string_view field_lines, std::optional<std::uint64_t> content_length) = 0;
  /// Sends a piece; what is written in one turn of the loop goes out together. Returns false when the client lags: pause until
  /// on_writable(). Empty pieces, and bytes over the Content-Length, are ignored.
  virtual bool write(std::string_view piece) = 0;
  /// Ends the answer; as abort() if the Content-Length was not reached.
  virtual void finish() = 0;
  /// Ends the connection so that the client cannot take what it has for a whole answer, after what was written has gone out.
  virtual void abort() = 0;
  [[nodiscard]] virtual bool started() const = 0;
  [[nodiscard]] virtual std::size_t buffered_bytes() const = 0;
};

/// Takes what comes in. On the loop's thread.
class InboundAcceptor {
 public:
  virtual ~InboundAcceptor() = default;
  /// The head is there and the body is not. Responding here refuses the request: its body is not kept, the connection ends (unless
  /// the whole body has come already).
  virtual void on_head(InboundExchange&) {}
  /// The request is whole. Somebody must answer it, now or later.
  virtual void on_request(InboundExchange& exchange) = 0;
  /// A message that is not HTTP as we take it was answered with `status` and its connection closed; for logs and counts. 503: a
  /// connection was closed at once because its peer has too many.
  virtual void on_refused(int /*status*/, std::string_view /*peer*/, std::string_view /*why*/) {}
};

class InboundPort;

/// Listens and owns its connections. Belongs to the loop's thread. Destroying it closes them: their listeners hear nothing.
class Inbound {
 public:
  Inbound(net::EventLoop& loop, InboundLimits limits, InboundAcceptor& acceptor);
  ~Inbound();
  Inbound(const Inbound&) = delete;
  Inbound& operator=(const Inbound&) = delete;

  /// Starts to accept; returns the address with the port resolved. With `tls` every connection is of TLS, with the certificate that
  /// holds when it is accepted; a handshake has head_timeout.
  Result<net::Address> listen(const net::Address& address, std::shared_ptr<crypto::TlsServer> tls = nullptr);
  /// The same on a socket that listens already and that other processes may accept from.
  Result<net::Address> listen_on(net::UniqueFd listening, std::shared_ptr<crypto::TlsServer> tls = nullptr);
  /// New limits, for connections that come from now on.
  void set_limits(InboundLimits limits);
  /// As http::Server::drain().
  void drain(Duration deadline, std::move_only_function<void()> done, Duration linger = Duration::zero());
  [[nodiscard]] std::size_t open_connections() const;
  [[nodiscard]] std::size_t active_exchanges() const;

 private:
  std::unique_ptr<InboundPort> port_;
};

}  // namespace flexpert::http
