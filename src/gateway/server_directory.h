#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "config/gateway_options.h"
#include "fleet/fleet_snapshot.h"
#include "gateway/model_pool.h"
#include "gateway/model_server.h"

namespace flexpert::gateway {

/// One attempt's server and its load there.
struct ServerPick {
  routing::LoadTicket ticket;           ///< holds nothing: no server may take the attempt now
  const ModelServer* server = nullptr;  ///< until the directory changes next; ticket.endpoint() stays
};

/// What the servers that are ready take, all together.
struct ServerCapacity {
  std::size_t ready = 0;
  std::uint32_t requests = 0;  ///< at once, by the circuit breakers; 0 = unlimited
  double tokens = 0;           ///< in flight and queued, of the servers whose capacity is known
  double saturation = 0;       ///< 1 = full
};

/// All model servers, the pools that they form, and what is in flight on them. Belongs to the loop's thread.
class ServerDirectory {
 public:
  using Connect = std::function<std::unique_ptr<http::OutboundUpstream>(const ModelServer&)>;

  /// After this long a server that a request found gone may be tried again although nothing new was heard of it.
  static constexpr Duration kLostFor = Seconds(2);

  ServerDirectory() = default;
  ServerDirectory(const ServerDirectory&) = delete;
  ServerDirectory& operator=(const ServerDirectory&) = delete;
  ~ServerDirectory();

  /// How servers are chosen, also from those that are known already. `models` says it for single models.
  void set_routing(const config::RoutingConfig& routing, std::vector<config::ModelRoutingConfig> models);
  /// Makes the connections of a server that is new or has another address; to be said before the first server.
  void connect_with(Connect connect) { connect_ = std::move(connect); }
  /// Calls `listener` after every change that may make a server ready.
  void on_change(std::function<void()> listener) { listener_ = std::move(listener); }

  /// The controller's fleet will come: until its first snapshot no model can be said not to exist. `model` is known even
  /// while nobody serves it, if given.
  void expect_fleet(const std::optional<std::string>& model);
  void add_configured(ServerSpec spec);
  void add_configured(std::string id, net::Address address, std::vector<std::string> models);
  /// Gives a server another Authorization value, and, if `reconnect`, new connections: those that are in use end with their requests.
  void renew(std::string_view id, std::string authorization, bool reconnect);
  /// One that registered itself. Replaces what it said before. False: another server has that id.
  bool add_registered(ServerSpec spec);
  /// It gets nothing new; what is on its way there goes on.
  void remove_registered(std::string_view id);
  /// An operator's word: it gets nothing new until he takes it back; what is on its way there goes on. False: there is no such server.
  bool hold(std::string_view id, bool held);
  /// What a health check found. `models` replaces the list if given.
  void set_health(const std::string& id, bool ready, std::optional<std::vector<std::string>> models);
  /// Replaces what is known of the fleet's model servers; others stay. Bad addresses are skipped.
  void apply(const FleetSnapshot& snapshot);
  /// A request found `id` gone: it gets no more until it is heard of anew.
  void mark_lost(const std::string& id, TimePoint now);

  /// Returns the pool of `model`; null if no server has it. Holds until the directory changes next.
  [[nodiscard]] ModelPool* find(std::string_view model) const;
  /// Picks by the pool's policy and takes the load. `own_only`: for a caller with restricted rights, among servers that mask.
  ServerPick pick(ModelPool& pool, const routing::PickRequest& request, bool own_only, TimePoint now, Rng& rng);
  /// Picks the least loaded of the fleet's own servers of any model, which know /internal/experts.
  ServerPick pick_of_fleet(const routing::PickRequest& request, TimePoint now);
  /// What became of an attempt, for ejection; see routing::EndpointPool.
  void report(ModelPool& pool, routing::Endpoint& endpoint, bool failed, TimePoint now);

  /// Tells whether `model` is of a pool that is scaled: where no server has it, one can be expected.
  [[nodiscard]] bool scaled(std::string_view model) const;
  /// Tells whether `model` exists, or may for all that is known.
  [[nodiscard]] bool knows(std::string_view model) const;
  /// Tells whether a server with `model` is expected back: starting, or lost less than `within` ago.
  [[nodiscard]] bool recovering(std::string_view model, TimePoint now, Duration within) const;
  [[nodiscard]] bool any_ready(TimePoint now) const;
  /// Returns every known model once, sorted.
  [[nodiscard]] std::vector<std::string> models() const;
  [[nodiscard]] const std::map<std::string, ModelServer, std::less<>>& servers() const { return servers_; }
  /// Returns what the ready servers take. Saturation: tokens in flight and queued there against capacity_tokens; of servers
  /// whose capacity nobody knows the requests that wait there against those that run. The larger of both.
  [[nodiscard]] ServerCapacity capacity(TimePoint now) const;
  /// Attempts in flight on all servers.
  [[nodiscard]] std::uint64_t in_flight() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  static bool usable(const ModelServer& server, TimePoint now);
  ModelServer& server(std::string_view id);
  void apply_spec(ModelServer& server, ServerSpec spec);
  void move_to(ModelServer& server, net::Address address);
  void join_pools(ModelServer& server);
  void update_endpoint(ModelServer& server);
  void remove(std::string_view id);
  void forget_empty_pools();
  void catch_up(TimePoint now);
  ServerPick made(routing::LoadTicket ticket) const;
  const config::RoutingConfig& routing_of(std::string_view model) const;
  void tell() const {
    if (listener_) listener_();
  }

  config::RoutingConfig routing_;
  std::vector<config::ModelRoutingConfig> model_routing_;
  Connect connect_;
  std::unordered_map<std::string, std::unique_ptr<ModelPool>, Hash, std::equal_to<>> pools_;
  mutable ModelPool* last_found_ = nullptr;
  routing::EndpointPool fleet_{{}};
  std::map<std::string, ModelServer, std::less<>> servers_;
  std::vector<ModelServer*> by_tag_;        ///< as endpoints are tagged
  std::optional<std::string> expected_model_;
  std::vector<std::string> scaled_models_;  ///< of the fleet's pools
  bool fleet_pending_ = false;
  bool new_ones_ = false;                   ///< servers became ready, and nobody knows since when
  TimePoint next_back_ = TimePoint::max();  ///< when a lost server may be tried again
  double mean_tokens_ = 0;                  ///< of an attempt
  std::function<void()> listener_;
};

}  // namespace flexpert::gateway
