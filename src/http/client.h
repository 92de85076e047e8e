#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/client_tls.h"
#include "http/message.h"
#include "net/address.h"
#include "net/event_loop.h"

namespace flexpert::http {

struct ClientOptions {
  Duration connect_timeout = Seconds(2);
  Duration head_timeout = Seconds(600);  ///< from the request's last byte to the answer's head
  Duration idle_timeout = Seconds(600);  ///< between two reads of the body
  std::size_t max_head_bytes = 64 * 1024;
  std::size_t max_idle_connections = 64; ///< kept per address
  Duration keep_idle = Seconds(60);      ///< a kept connection is closed after this long without a request
};

/// What a caller hears of one answer, on the loop's thread: on_head once, on_body as bytes come (chunking removed),
/// then exactly one of on_end or on_error, never from inside send(). 1xx answers are skipped. A callback may send,
/// cancel, and destroy the Client. Unset ones are not called.
struct AnswerCallbacks {
  std::move_only_function<void(int status, const Headers& headers)> on_head;
  std::move_only_function<void(std::string_view bytes)> on_body;
  std::move_only_function<void()> on_end;
  /// kUnavailable: nothing of an answer was read, failed connects included; kDataLoss: the answer broke off; kDeadlineExceeded; kInvalidArgument: malformed.
  std::move_only_function<void(Error)> on_error;
};

/// An HTTP/1.1 client with keep-alive per address. A request that meets a kept connection which the server closed
/// in the meantime is sent once more on a fresh one. Belongs to the loop's thread.
class Client {
 public:
  using RequestId = std::uint64_t;
  Client(net::EventLoop& loop, ClientOptions options);
  ~Client();
  /// Sends `request` (Host and Content-Length are made here). `target` must begin with '/'.
  RequestId send(const net::Address& address, Request request, AnswerCallbacks callbacks, const ClientTls& tls = {});
  /// Forgets a request: its connection is closed at once and no callback runs any more. Unknown ids are ignored.
  void cancel(RequestId id);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Sends one request and waits for the whole answer on a loop of its own. For command-line tools and tests.
/// Errors: as on_error, kDeadlineExceeded after `timeout`, kResourceExhausted for a body over 256 MiB.
Result<Response> fetch(const net::Address& address, Request request, Duration timeout);

}  // namespace flexpert::http
