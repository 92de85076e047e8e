#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "fleet/fleet_snapshot.h"

namespace flexpert::platform {

/// How to know that a process is ready: connect to `address`; for HTTP also GET `path` = 200.
struct ReadinessProbe {
  std::string address;
  std::string http_path;  ///< empty: being able to connect is enough
  Duration timeout = Seconds(30);
};

struct LaunchSpec {
  InstanceId id;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  ReadinessProbe readiness;
  bool restart_on_crash = true;     ///< with exponential backoff, 100 ms to 10 s
  Duration drain_deadline = Seconds(10);
  /// It lives on if we die without stopping it, and recover() of our successor takes it over. Where the backend cannot do
  /// that, it dies with us.
  bool may_outlive_us = false;
  /// "HOST:PORT" of a listening socket that it gets as descriptor 3, one socket for all instances that name it; empty: none.
  std::string shared_listen = {};
};

/// What an orchestrator knows of one instance.
struct Observed {
  InstanceId id;
  InstanceState state = InstanceState::kStarting;  ///< kStarting, kReady, kDraining, kStopped or kFailed
  std::int64_t pid = 0;
  std::uint32_t restarts = 0;
  std::string last_error;
};

/// An instance that a predecessor of ours launched and that runs on.
struct Recovered {
  LaunchSpec spec;
  Observed seen;
};

/// The port to whatever runs processes. Calls return at once; news comes through the callback, on the owner's thread.
class Orchestrator {
 public:
  using OnChange = std::function<void(const Observed&)>;
  virtual ~Orchestrator() = default;
  virtual void set_on_change(OnChange callback) = 0;
  /// Starts an instance. Errors: an id that exists, a program that cannot be run.
  virtual Result<void> launch(LaunchSpec spec) = 0;
  /// Asks an instance to finish its work and go (SIGTERM), and kills it after its drain deadline. It is not restarted.
  virtual Result<void> stop(const InstanceId& id) = 0;
  [[nodiscard]] virtual std::vector<Observed> observe() const = 0;
  /// Takes over what a predecessor launched with `may_outlive_us` and what still runs, as if we had launched it; call it
  /// once, before the first launch().
  [[nodiscard]] virtual std::vector<Recovered> recover() { return {}; }
};

}  // namespace flexpert::platform
