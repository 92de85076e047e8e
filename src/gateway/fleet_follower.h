#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fleet/fleet_snapshot.h"
#include "http/client.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

/// Follows a controller's stream of snapshots, and connects again when it breaks, after 100 ms at first and 2 s at most.
/// What it last delivered stays good while the controller is away. Belongs to the loop's thread.
class FleetFollower {
 public:
  using Listener = std::function<void(std::shared_ptr<const FleetSnapshot>)>;

  FleetFollower(net::EventLoop& loop, net::Address controller, Listener on_snapshot, std::function<void(bool)> on_connected);
  ~FleetFollower();
  /// From now on a controller that goes away is nothing to warn of: everything stops.
  void expect_end() { complained_ = ending_ = true; }
  FleetFollower(const FleetFollower&) = delete;
  FleetFollower& operator=(const FleetFollower&) = delete;

 private:
  void connect();
  void reconnect_later(const std::string& why);
  void take(std::string_view bytes);

  net::EventLoop& loop_;
  net::Address controller_;
  Listener on_snapshot_;
  std::function<void(bool)> on_connected_;
  Duration backoff_;
  net::TimerId timer_ = 0;
  bool connected_ = false;
  bool complained_ = false;
  bool ending_ = false;
  std::string line_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace flexpert::gateway
