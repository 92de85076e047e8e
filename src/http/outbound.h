#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/http1_view.h"
#include "http/client_tls.h"
#include "net/address.h"
#include "net/event_loop.h"

/// The data plane's client side: kept connections per upstream, answers as views, nothing allocated per request in the steady
/// state. http::Client is a convenience on top of it.
namespace flexpert::http {

struct OutboundOptions {
  Duration connect_timeout = Seconds(2);
  Duration head_timeout = Seconds(600);   ///< from the request's last byte to the answer's head
  Duration idle_timeout = Seconds(600);   ///< between two reads of the body
  std::size_t max_head_bytes = 64 * 1024;
  std::size_t max_idle_connections = 512; ///< kept per upstream
  Duration keep_idle = Seconds(60);
};

/// How far a failed request had come, which decides whether it may be sent again.
enum class OutboundFailure {
  kConnect,     ///< no connection: the upstream has seen nothing
  kStale,       ///< never told: a request that met a closed kept connection is sent again
  kNoAnswer,    ///< the connection broke after the request was sent, before the answer's head
  kBroken,      ///< it broke inside the answer
  kMalformed,   ///< the answer is not HTTP as we take it
  kHeadTimeout,
  kIdleTimeout,
};

/// Hears of one answer, on the loop's thread and never from inside send(): on_head once, on_body as bytes come (framing
/// removed), then exactly one of on_end or on_error. 1xx answers are skipped. Any call may cancel, send, and destroy the pool.
class OutboundListener {
 public:
  virtual ~OutboundListener() = default;
  /// The views hold during the call.
  virtual void on_head(const codec::Http1ResponseView& head) = 0;
  virtual void on_body(std::string_view piece) = 0;
  virtual void on_end() = 0;
  virtual void on_error(OutboundFailure failure, const Error& error) = 0;
};

/// One request on its way. Owned by the pool; gone after on_end(), on_error() or cancel().
class OutboundRequest {
 public:
  virtual ~OutboundRequest() = default;
  /// Forgets the request: its connection is closed at once and its listener hears no more.
  virtual void cancel() = 0;
  /// Stops or resumes reading the answer, for back pressure. What was read already (at most 64 KiB) is still told.
  virtual void set_reading(bool reading) = 0;
};

/// One upstream with its connections. Kept by whoever sends there; destroying it closes idle connections and lets requests end.
class OutboundUpstream {
 public:
  virtual ~OutboundUpstream() = default;
  /// Sends `head` (request line, fields and empty line, complete) and the parts of a body; both must stay where they are until
  /// the listener hears on_head(), on_error(), or the request is cancelled. `answers_head`: the method is HEAD. A request that
  /// meets a kept connection which was closed in the meantime is sent once more on a fresh one by itself. Host names are looked up
  /// in a thread of its own, at every connect, and their addresses tried one after the other.
  virtual OutboundRequest* send(std::string_view head, std::span<const std::string_view> body, bool answers_head,
                                OutboundListener& listener) = 0;
  [[nodiscard]] virtual std::size_t idle_connections() const = 0;
  [[nodiscard]] virtual std::size_t open_connections() const = 0;
};

class OutboundShared;

/// Makes upstreams. Belongs to the loop's thread. Destroying it closes every connection: their listeners hear nothing more, and
/// upstreams that are left refuse what is sent.
class Outbound {
 public:
  Outbound(net::EventLoop& loop, OutboundOptions options);
  ~Outbound();
  Outbound(const Outbound&) = delete;
  Outbound& operator=(const Outbound&) = delete;
  /// An upstream, over plain HTTP or TLS. connect_timeout is for the handshake too; one that fails is kConnect.
  std::unique_ptr<OutboundUpstream> connect(const net::Address& address, ClientTls tls = {});

 private:
  std::shared_ptr<OutboundShared> shared_;
};

}  // namespace flexpert::http
