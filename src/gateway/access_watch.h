#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "config/fleet_config.h"
#include "gateway/access_snapshot.h"
#include "net/event_loop.h"
#include "telemetry/metrics.h"
#include "telemetry/request_log.h"

namespace flexpert::gateway {

/// Keeps what decides about access as the files say: policy, keys, pepper; and tells when certificates have changed. The files are
/// looked at once in `interval` and read on a thread of its own, so that requests do not wait for them. What cannot be read or
/// checked is not taken: all that was in force stays so, and log, metrics and audit say what is wrong. A policy file, YAML keys or
/// certificates are read when they have been still for one interval; a change of the key store is read at once.
/// Belongs to the loop's thread; loop, clock and registry outlive it. Its destructor waits for a read that runs.
class AccessWatch {
 public:
  struct Events {
    std::function<void(const AccessSnapshot&)> access;              ///< from now on this is in force
    std::function<void()> certificates;                             ///< read them and the upstreams' files anew; may be null
    std::function<void(const telemetry::AuditRecord&)> audit;       ///< an administrative act; may be null
  };
  /// Reads everything once, now. Errors: what is wrong with a file, and which.
  static Result<std::unique_ptr<AccessWatch>> start(net::EventLoop& loop, const Clock& clock, const config::FleetConfig& config,
                                                    telemetry::Registry& registry, Events events, Duration interval = Seconds(1));
  virtual ~AccessWatch() = default;
  /// What is in force now.
  [[nodiscard]] virtual const AccessSnapshot& snapshot() const = 0;
  /// Reads everything now, whether it looks changed or not: SIGHUP.
  virtual void reload() = 0;
};

}  // namespace flexpert::gateway
