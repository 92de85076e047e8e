#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/fleet_config.h"
#include "gateway/gateway_metrics.h"
#include "gateway/grant_signer.h"
#include "gateway/server_directory.h"
#include "gateway/upstream_probe.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

/// Adds the configured upstreams to the directory, and asks every one at an interval whether it is well, at once when added, over
/// connections like those of requests and with its API key. A health path that answers 404 is not there: GET /v1/models is asked instead,
/// and also where no models are configured. Belongs to the loop's thread; the directory, which must know how to connect, outlives it.
class HealthChecker {
 public:
  /// `signer` null: there is no internal secret.
  HealthChecker(net::EventLoop& loop, const Clock& clock, Duration interval, ServerDirectory& directory, GatewayMetrics& metrics, const GrantSigner* signer);
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  /// Errors: kInvalidArgument (the URL), kFailedPrecondition (its API key cannot be read, or there is no way to connect).
  Result<void> add(const config::UpstreamConfig& upstream);
  /// Reads the upstreams' API keys again, and connects anew to those whose ca_file is one of `authorities`. A key that cannot be read
  /// changes nothing; the log says so.
  void renew(const std::set<std::string>& authorities);
  /// Checks `name` now instead of at its next turn; nothing for names that are not configured upstreams.
  void check_now(const std::string& name);

 private:
  struct Probe {
    config::UpstreamConfig upstream;
    bool was_ready = false;
    bool known = false;
    std::unique_ptr<UpstreamProbe> running;
    net::TimerId timer = 0;
  };
  void check(Probe& probe);
  void ask(Probe& probe, const std::string& path, bool models);
  void answered(Probe& probe, const ProbeAnswer& answer, bool models);
  void conclude(Probe& probe, bool ready, std::optional<std::vector<std::string>> models, const std::string& why);

  net::EventLoop& loop_;
  const Clock& clock_;
  Duration interval_;
  ServerDirectory& directory_;
  GatewayMetrics& metrics_;
  const GrantSigner* signer_;
  std::vector<std::unique_ptr<Probe>> probes_;
};

}  // namespace flexpert::gateway
