#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "auth/policy.h"
#include "base/clock.h"
#include "config/fleet_config.h"
#include "fleet/fleet_snapshot.h"
#include "gateway/caller.h"
#include "gateway/gateway_metrics.h"
#include "gateway/grant_signer.h"
#include "gateway/route_request.h"
#include "gateway/server_directory.h"
#include "http/client.h"
#include "http/server.h"
#include "net/event_loop.h"
#include "routing/load_counts.h"
#include "telemetry/request_log.h"

namespace flexpert::gateway {

/// Who calls, and how logs name the call.
struct RouteCaller {
  CallerPtr caller;         ///< not null
  std::string request_id;
  std::string peer;
};

/// POST /route: decides by the policy which of the named groups of experts the caller may execute, picks groups and the expert
/// servers that hold them by live load and the groups' cost, has a model server run the token through them, and answers with
/// what was measured. The model server is told, signed, what the caller must not use, and decides again. What is counted as in
/// flight is given back however a call ends. Belongs to the loop's thread.
class RouteHandler {
 public:
  struct Options {
    Duration expert_timeout = Seconds(2);         ///< for the experts' answer
    GrantSigner* signer = nullptr;                ///< null: model servers are told nothing of the caller
    telemetry::AuditLog* audit = nullptr;         ///< null: nobody hears of denials and downgrades
  };

  RouteHandler(net::EventLoop& loop, const Clock& clock, const config::FleetConfig& config, ServerDirectory& directory,
               GatewayMetrics& metrics, Options options);
  ~RouteHandler();
  RouteHandler(const RouteHandler&) = delete;
  RouteHandler& operator=(const RouteHandler&) = delete;

  void apply(std::shared_ptr<const FleetSnapshot> snapshot);
  /// The groups of the fleet's model are those of `policy` from now on. Before the first one every call is refused.
  void apply(std::shared_ptr<const auth::Policy> policy);
  void handle(const http::Request& request, RouteCaller who, std::unique_ptr<Answer> answer);
  /// What is in flight on expert servers and groups; zero when idle.
  [[nodiscard]] std::uint64_t in_flight() const { return instance_load_.total() + group_load_.total(); }

 private:
  struct Share {
    std::string group;
    std::string instance;
    double weight = 0;
    std::vector<ExpertSlot> slots;
  };
  struct Call;

  [[nodiscard]] const auth::ExpertGroup* group(const std::string& name) const;
  [[nodiscard]] double utilisation(const auth::ExpertGroup& group) const;
  void audit(const RouteCaller& who, std::string_view event, const std::vector<std::string>& groups) const;
  /// Returns the shares of one group, empty if it cannot be run whole now.
  [[nodiscard]] std::vector<Share> cover(const std::string& name, double weight, const std::vector<std::string>& excluded) const;
  bool choose(Call& call);
  void attempt(std::uint64_t id);
  void took_end(std::uint64_t id);
  void took_error(std::uint64_t id, const Error& error);
  void succeed(Call& call, const ExpertsAnswer& answer);
  void count_groups(const Call& call, const std::string& outcome);
  void refuse(Call& call, http::Response response);
  void end(std::uint64_t id);

  net::EventLoop& loop_;
  const Clock& clock_;
  std::string model_;  ///< of the fleet; empty: it has none
  std::shared_ptr<const auth::Policy> policy_;
  std::vector<auth::ExpertGroup> groups_;  ///< of that model
  std::vector<std::string> default_names_;
  ServerDirectory& directory_;
  GatewayMetrics& metrics_;
  Options options_;
  std::shared_ptr<const FleetSnapshot> snapshot_;
  std::map<std::string, double> instance_rows_;  // ready expert servers, with the share of the fleet's rows that they carry
  routing::LoadCounts instance_load_;
  routing::LoadCounts group_load_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::unique_ptr<Call>> calls_;
  std::shared_ptr<RouteHandler*> self_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace flexpert::gateway
