#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "gateway/gateway_metrics.h"
#include "gateway/load_report.h"
#include "gateway/request_scan.h"
#include "gateway/server_directory.h"
#include "http/client.h"
#include "http/server.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

struct RelayOptions {
  Duration upstream_timeout = Seconds(600);
  Duration recovery_wait = Seconds(5);  ///< how long a request waits for a server that is restarting
  Duration hold = Seconds(120);         ///< how long for a first instance of a pool that is scaled, as from zero
  std::size_t max_held = 10'000;        ///< requests that wait so
  std::uint64_t max_held_bytes = 256 << 20;
};

/// Relays OpenAI requests to the least loaded ready server that has the model, streams piece by piece as they come.
/// A server that refuses a request (503) or dies before anything of its answer went to the client costs one retry, on
/// another server, or on the same one when it died and is back in time; one that dies later costs the client its stream: an error event and a cut connection,
/// never a clean end. Requests for a model whose pool has no instance are held until it has one. A client that goes away cancels its upstream request at once. Belongs to the loop's thread.
class Relay {
 public:
  Relay(net::EventLoop& loop, const Clock& clock, ServerDirectory& directory, GatewayMetrics& metrics, LoadReport& load, RelayOptions options);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// Called with the id of a server that a request found gone.
  void on_lost(std::function<void(const std::string&)> listener) { on_lost_ = std::move(listener); }
  void handle(http::Request request, std::unique_ptr<Answer> answer);
  /// Tries the requests again that wait for a server.
  void servers_changed();
  [[nodiscard]] std::size_t active() const { return exchanges_.size(); }

 private:
  struct Exchange;
  Exchange* find(std::uint64_t id);
  void attempt(std::uint64_t id);
  void wait_or_refuse(Exchange& exchange);
  void took_head(std::uint64_t id, int status, const http::Headers& headers);
  void took_body(std::uint64_t id, std::string_view bytes);
  void took_end(std::uint64_t id);
  bool refused_and_another_may_take_it(Exchange& exchange);
  void took_error(std::uint64_t id, const Error& error);
  void break_stream(Exchange& exchange, const std::string& why);
  void cut_when_sent(std::uint64_t id, TimePoint give_up);
  void respond(Exchange& exchange, http::Response response);
  void client_gone(std::uint64_t id);
  void end(std::uint64_t id);

  net::EventLoop& loop_;
  const Clock& clock_;
  ServerDirectory& directory_;
  GatewayMetrics& metrics_;
  LoadReport& load_;
  RelayOptions options_;
  std::function<void(const std::string&)> on_lost_;
  RequestScanner scanner_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::unique_ptr<Exchange>> exchanges_;
  std::shared_ptr<Relay*> self_;  // what callbacks that may outlive us hold, weakly
  std::unique_ptr<http::Client> client_;
};

/// Makes the 404 for a model that nobody serves.
http::Response unknown_model(std::string_view model);
/// Makes a 503 with Retry-After.
http::Response unavailable(std::string_view message, std::string_view code, int retry_after_s);

}  // namespace flexpert::gateway
