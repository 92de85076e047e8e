#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace flexpert::bench {

/// One model server as the published fleet has it.
struct PublishedServer {
  std::string id;
  std::uint16_t port = 0;
  bool draining = false;
};

/// Stands in for a controller: serves /internal/fleet to gateways that follow it, in a thread of its own.
class FleetPublisher {
 public:
  static Result<std::unique_ptr<FleetPublisher>> start();
  ~FleetPublisher();
  FleetPublisher(const FleetPublisher&) = delete;
  FleetPublisher& operator=(const FleetPublisher&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  /// Tells every follower that the fleet is this from now on.
  void publish(const std::vector<PublishedServer>& servers);

 private:
  struct Impl;
  explicit FleetPublisher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::bench
