#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fleet/decision.h"
#include "fleet/fleet_snapshot.h"
#include "http/server.h"
#include "store/journal.h"
#include "telemetry/metrics.h"

namespace flexpert::controller {

class PoolLoop;

/// What /api/v1/status adds to the snapshot.
struct StatusExtras {
  bool dry_run = false;
  bool paced = false;
  bool ready = false;
  std::optional<Decision> last_decision;
};

/// The controller's HTTP interface (docs/reference/internal-api.md). Belongs to the loop's thread.
class Api {
 public:
  struct Sources {
    std::function<FleetSnapshot()> snapshot;
    std::function<StatusExtras()> extras;
    store::Journal* journal = nullptr;         ///< never null
    telemetry::Registry* registry = nullptr;   ///< never null
    std::function<http::Response(bool dry_run)> rebalance;
    std::function<http::Response()> placement;
    std::function<void()> before_metrics;      ///< brings what changes with time up to date
    std::function<PoolLoop*()> pools;          ///< null where none are configured
  };
  Api(net::EventLoop& loop, Sources sources);
  ~Api();
  Result<void> listen(const net::Address& address);
  [[nodiscard]] const net::Address& address() const { return address_; }
  /// Writes the snapshot to every watcher, at the end of this turn of the loop (many calls, one write).
  void changed();
  /// Ends the watchers' streams and stops to listen.
  void drain(Duration deadline, std::move_only_function<void()> done);

 private:
  void handle(const http::Request& request, http::Responder responder);
  /// Answers what only a controller with pools knows. False: it is no such path.
  bool handle_pools(const http::Request& request, http::Responder& responder);
  void watch(http::Responder responder);
  void broadcast();
  http::Response status();
  http::Response decisions(std::string_view target);
  http::Response readiness();
  void rebalance(const http::Request& request, http::Responder responder);

  net::EventLoop& loop_;
  Sources sources_;
  http::Server server_;
  net::Address address_;
  std::vector<http::Responder> watchers_;
  net::TimerId soon_ = 0;
  net::TimerId every_second_ = 0;
  bool draining_ = false;
};

}  // namespace flexpert::controller
