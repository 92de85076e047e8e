#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "gateway/admission.h"
#include "gateway/buffer_pool.h"
#include "gateway/caller.h"
#include "gateway/exchange.h"
#include "gateway/gateway_metrics.h"
#include "gateway/grant_signer.h"
#include "gateway/load_report.h"
#include "gateway/request_scan.h"
#include "gateway/server_directory.h"
#include "gateway/trace_export.h"
#include "http/inbound.h"
#include "http/outbound.h"
#include "net/event_loop.h"
#include "telemetry/request_log.h"

namespace flexpert::gateway {

class RouteHandler;

/// What handlers of single calls answer.
http::Response unavailable(std::string_view message, std::string_view code, int retry_after_s);

struct RelayOptions {
  Duration recovery_wait = Seconds(5);       ///< how long a request waits for a server that is restarting
  Duration hold = Seconds(120);              ///< how long for a first instance of a pool that is scaled, as from zero
  std::size_t max_held = 10'000;             ///< requests that wait so
  std::uint64_t max_held_bytes = 256 << 20;
  Duration heartbeat = Seconds(15);          ///< silence of a stream after which a comment is sent; 0 = none
  std::uint64_t default_max_tokens = 512;    ///< of an answer, for a request that does not say
};

/// What the request path works with. All of it outlives the Relay.
struct RelayParts {
  net::EventLoop& loop;
  const Clock& clock;
  ServerDirectory& directory;
  GatewayMetrics& metrics;
  LoadReport& load;
  RouteHandler& routes;
  Authenticator& authenticator;
  Admission& admission;
  ResponseCaching* caching = nullptr;        ///< null: no answers are kept
  GrantSigner* signer = nullptr;             ///< null: no server is told what a caller may use
  TraceExport* traces = nullptr;             ///< null: traces are passed on and named in logs, and that is all
  telemetry::AccessLog* access_log = nullptr;
  telemetry::AuditLog* audit_log = nullptr;
};

/// Takes clients' requests, and relays those for a model to one of its servers, piece by piece as they come. A server that refuses a
/// request (503) or dies before anything of its answer went to the client costs one retry, on another server, or on the same
/// one when it died and is back in time; one that dies later costs the client its stream: an error event and a cut connection, never
/// a clean end. Requests for a model whose pool has no instance are held until it has one. A client that goes away cancels
/// its upstream request at once. Belongs to the loop's thread.
class Relay final : public http::InboundAcceptor {
 public:
  Relay(RelayParts parts, RelayOptions options);
  ~Relay() override;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void on_head(http::InboundExchange& client) override;
  void on_request(http::InboundExchange& client) override;
  void on_refused(int status, std::string_view peer, std::string_view why) override;

  /// Called with the id of a server that a request found gone.
  void on_lost(std::function<void(const std::string&)> listener) { on_lost_ = std::move(listener); }
  /// Tries the requests again that wait for a server.
  void servers_changed();
  /// Another state of some model may answer from now on: answers that are kept are those of another time.
  void models_changed() { ++model_epoch_; }
  [[nodiscard]] std::size_t active() const { return active_; }

 private:
  friend class Exchange;
  /// A list of exchanges, by their own links.
  struct List {
    Exchange* first = nullptr;
    void add(Exchange& exchange);
    void remove(Exchange& exchange);
  };
  Exchange& take();
  void give_back(Exchange& exchange);
  Exchange* of(const http::InboundExchange& client);
  void lost(const std::string& server);
  void beat();

  RelayParts parts_;
  const RelayOptions options_;
  RequestScanner scanner_;
  BufferPool buffers_;
  Rng rng_;
  std::int64_t started_unix_s_;
  std::function<void(const std::string&)> on_lost_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> free_;
  std::vector<Exchange*> awaiting_body_;
  List streams_;
  std::size_t active_ = 0;
  std::uint64_t model_epoch_ = 0;
  net::TimerId beat_timer_ = 0;
};

}  // namespace flexpert::gateway
