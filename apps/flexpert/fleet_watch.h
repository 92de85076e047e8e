#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fleet/decision.h"
#include "flexpert/fleet_api.h"
#include "http/client.h"
#include "net/address.h"
#include "net/event_loop.h"

namespace flexpert::app {

/// Follows a fleet through its controller's API, asking twice a second. Belongs to the loop's thread.
class FleetWatch {
 public:
  FleetWatch(net::EventLoop& loop, net::Address controller);
  ~FleetWatch();
  /// Asks until stop(); `on_decision` hears each new decision once, oldest first.
  void start(std::function<void(const Decision&)> on_decision);
  void stop();

  [[nodiscard]] const FleetStatus& status() const { return status_; }
  /// All decisions seen, oldest first.
  [[nodiscard]] const std::vector<Decision>& decisions() const { return decisions_; }
  /// The largest number of expert servers that served at one time.
  [[nodiscard]] std::size_t most_expert_servers() const { return most_expert_servers_; }

 private:
  void ask();
  void request(const std::string& target, std::function<void(const std::string& body)> on_body);
  void take_status(const std::string& body);
  void take_decisions(const std::string& body);

  net::EventLoop& loop_;
  net::Address controller_;
  http::Client client_;
  net::TimerId timer_ = 0;
  std::function<void(const Decision&)> on_decision_;
  FleetStatus status_;
  std::vector<Decision> decisions_;
  std::size_t most_expert_servers_ = 0;
};

}  // namespace flexpert::app
