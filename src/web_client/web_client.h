#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/event_loop.h"

namespace flexpert::web_client {

struct WebRequest {
  std::string method = "GET";
  std::string url{};  ///< http:// or https://
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::string ca_file{};                 ///< with https: PEM of the authorities to trust instead of the system's; read for every connection
  Duration timeout = Seconds(10);        ///< for everything, connecting included
  std::size_t max_answer_bytes = 32 << 20;
};

struct WebAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;
};

/// The control plane's HTTP client (libcurl multi on our event loop): Prometheus, webhooks. Verifies certificates, follows
/// no redirects, takes no proxy from the environment. Many requests at once, over at most eight connections a host; more
/// wait, within their timeouts. Belongs to the loop's thread; destroying it ends what is under way without a call.
class WebClient {
 public:
  using Done = std::move_only_function<void(Result<WebAnswer>)>;
  using RequestId = std::uint64_t;

  explicit WebClient(net::EventLoop& loop);
  ~WebClient();
  WebClient(const WebClient&) = delete;
  WebClient& operator=(const WebClient&) = delete;

  /// `done` runs once, from the loop, never from inside send(); it may send, cancel, and destroy the client. Errors:
  /// kUnavailable (no connection), kDeadlineExceeded, kInvalidArgument (URL),
  /// kResourceExhausted (answer too long). A status of 400 and above is an answer, not an error.
  RequestId send(WebRequest request, Done done);
  /// Forgets a request: its `done` never runs.
  void cancel(RequestId id);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::web_client
