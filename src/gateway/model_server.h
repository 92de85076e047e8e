#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/outbound.h"
#include "net/address.h"
#include "routing/endpoints.h"

namespace flexpert::gateway {

class ModelPool;

/// How a gateway came to know a server.
enum class ServerSource : std::uint8_t { kConfigured, kFleet, kRegistered };

/// What is said of a server that is configured or registered.
struct ServerSpec {
  std::string id;
  net::Address address;
  std::string host{};                 ///< the Host field of requests; empty: the address
  std::vector<std::string> models{};  ///< empty: asked of it
  bool own = false;                   ///< runs our model server: gets the signed grant and masks experts
  bool tls = false;
  std::string ca_file{};              ///< with tls: PEM certificates to trust instead of the system's
  std::string authorization{};        ///< value of the Authorization field that goes there; empty = none
  double weight = 1;
  double capacity_tokens = 0;         ///< 0: as the model's routing says
  double cost = 1;
};

/// A server that answers the OpenAI API: ours as the controller reports it, a configured one, or one that registered itself.
struct ModelServer {
  std::string id;
  net::Address address;
  std::string host;
  std::vector<std::string> models;
  ServerSource source = ServerSource::kConfigured;
  bool of_fleet = false;
  bool own = false;          ///< gets the signed grant
  bool tls = false;
  std::string ca_file;
  std::string authorization;
  bool ready = false;
  bool starting = false;     ///< not ready, and expected to be soon
  bool draining = false;
  bool held = false;         ///< an operator holds requests back from it
  std::uint32_t queued = 0;  ///< requests waiting there, by its own account
  std::uint32_t running = 0; ///< and running
  std::int64_t pid = 0;
  std::uint32_t restarts = 0;
  std::optional<TimePoint> lost_at;  ///< when a request last found it gone, until it is seen anew
  bool avoided = false;      ///< lost so recently that it is not tried
  double capacity_tokens = 0;

  std::shared_ptr<routing::Endpoint> endpoint;       ///< its load, shared by the pools of all its models
  std::unique_ptr<http::OutboundUpstream> upstream;  ///< its connections; null where nobody said how to connect
  std::vector<ModelPool*> pools;                     ///< of `models`
  std::uint32_t in_flight_then = 0;                  ///< attempts of ours when it last reported

  [[nodiscard]] bool serves(std::string_view model) const;
};

}  // namespace flexpert::gateway
