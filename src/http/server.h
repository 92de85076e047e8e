#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/message.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/unique_fd.h"

namespace flexpert::http {

struct ServerLimits {
  std::size_t max_head_bytes = 32 * 1024;
  std::size_t max_body_bytes = 4 * 1024 * 1024;  ///< over it: 413
  Duration head_timeout = Seconds(10);
  Duration body_timeout = Seconds(60);
  Duration idle_timeout = Seconds(75);
  std::size_t max_connections = 10000;
  std::size_t max_buffered_response_bytes = 1024 * 1024;  ///< a streaming client that lags this far behind is cut off
};

/// The answer to one request: either respond() once, or start(), write()s and finish(). Copyable handle; all calls
/// on the loop's thread; calls after the client has gone, or after the answer's end, do nothing. Dropping every copy
/// without an answer sends 500.
class Responder {
 public:
  class Exchange;  // the connection's side of it; see server.cc
  explicit Responder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

  void respond(Response response);
  /// Sends the head of a streamed answer (Transfer-Encoding: chunked).
  void start(int status, Headers headers);
  void write(std::string_view chunk);
  void finish();
  /// Cuts the connection, so that the client cannot take what it has for a whole answer.
  void abort();
  /// Calls `callback` once if the client goes away before the answer's end (closing its sending side counts as going
  /// away), at once if it already has. Not called when the Server is destroyed, nor once every copy is dropped.
  void on_disconnect(std::move_only_function<void()> callback);
  [[nodiscard]] bool gone() const;
  [[nodiscard]] bool started() const;
  /// Bytes written and not yet taken by the kernel.
  [[nodiscard]] std::size_t buffered_bytes() const;

 private:
  std::shared_ptr<Exchange> exchange_;
};

/// An HTTP/1.1 server with keep-alive; requests are delivered whole. Malformed input is answered 400 (or 413, 431,
/// 408, 501, 505) and the connection closed. Belongs to the loop's thread.
class Server {
 public:
  using Handler = std::function<void(Request, Responder)>;

  Server(net::EventLoop& loop, ServerLimits limits, Handler handler);
  ~Server();
  /// Starts to accept. Returns the address with the port resolved. May be called for several addresses.
  Result<net::Address> listen(const net::Address& address);
  /// The same on a socket that listens already and that other processes may accept from, too: draining leaves what waits in it
  /// to them. Errors: kInvalidArgument if it does not listen.
  Result<net::Address> listen_on(net::UniqueFd listening);
  /// Stops accepting, closes idle connections, and calls `done` when the last exchange is over or `deadline` passed. With
  /// `linger` idle connections are kept so long: a request that was on its way is answered, with "Connection: close".
  void drain(Duration deadline, std::move_only_function<void()> done, Duration linger = Duration::zero());
  [[nodiscard]] std::size_t open_connections() const;
  [[nodiscard]] std::size_t active_exchanges() const;

 private:
  friend class Responder;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace flexpert::http
