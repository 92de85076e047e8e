#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/result.h"
#include "live/processes.h"
#include "net/address.h"
#include "net/event_loop.h"

namespace flexpert::bench {

/// What a measurement varies of a fleet with one pool, "chat".
struct PoolRunSettings {
  double interval_s = 1;
  std::uint32_t min = 1;
  std::uint32_t max = 4;
  std::string policies;                ///< YAML of the pool's `policies`, on one line; empty: by hand
  std::string stabilisation = "{}";    ///< YAML on one line
  std::string sensors = "{source: direct}";
  std::string prometheus;              ///< URL; empty: none
  std::string launch;                  ///< YAML on one line; empty: our model server, paced
  double never_ready_s = 60;
  double max_metric_age_s = 5;
  bool separate = false;               ///< `flexpert controller` and `flexpert gateway` instead of `flexpert up`
};

/// A fleet with one pool of real processes. Belongs to the loop's thread.
class PoolRun {
 public:
  /// Starts it and waits until requests are answered (or, without `wait`, until the controller listens).
  static Result<std::unique_ptr<PoolRun>> start(net::EventLoop& loop, const std::string& program, const std::string& model,
                                                const PoolRunSettings& settings, bool wait = true);
  ~PoolRun();

  [[nodiscard]] const net::Address& gateway() const { return gateway_; }
  [[nodiscard]] const net::Address& controller() const { return controller_; }
  [[nodiscard]] const std::string& model() const { return model_; }

  /// The pool's part of /api/v1/status; the planner's as a whole.
  Result<boost::json::value> pool() const;
  Result<boost::json::value> planner() const;
  /// Pids of the pool's instances that live, by id.
  Result<std::map<std::string, std::int64_t>> instances() const;
  /// Asks for so many replicas by hand (PUT /api/v1/pools/chat/limits), and waits until they are there and no others.
  Result<void> set_manual(std::uint32_t replicas) const;
  Result<void> settle(std::uint32_t replicas, Duration deadline) const;
  [[nodiscard]] std::string conditions() const;

  /// Kills the controller with SIGKILL, starts another. Only with `separate`.
  Result<void> kill_controller();
  Result<void> start_controller();
  /// Stops everything in order and copies the journal to `kept` (a path; empty: nowhere).
  Result<void> stop(const std::string& kept);
  [[nodiscard]] std::string journal() const { return runtime_ + "/flexpert.db"; }
  [[nodiscard]] const std::vector<std::string>& log() const { return fleet_->lines(); }

 private:
  PoolRun(net::EventLoop& loop, std::string program) : loop_(loop), program_(std::move(program)) {}

  net::EventLoop& loop_;
  std::string program_;
  std::string model_;
  WorkFolder folder_;
  std::string config_;
  std::string runtime_;
  net::Address gateway_;
  net::Address controller_;
  bool separate_ = false;
  std::unique_ptr<LiveProcess> fleet_;    ///< `up`, or the controller
  std::unique_ptr<LiveProcess> relay_;    ///< the gateway, if it is a process of its own
};

/// Adds up, ten times a second, how many instances hold a GPU: those that start, serve or drain.
class InstanceSeconds {
 public:
  InstanceSeconds(net::EventLoop& loop, const PoolRun& run);
  ~InstanceSeconds();
  [[nodiscard]] double value() const { return seconds_; }
  [[nodiscard]] std::size_t most() const { return most_; }

 private:
  void look();
  net::EventLoop& loop_;
  const PoolRun& run_;
  net::TimerId timer_ = 0;
  TimePoint last_{};
  std::size_t count_ = 0;
  std::size_t most_ = 0;
  double seconds_ = 0;
};

/// A real Prometheus that finds a run's instances through its controller.
class PrometheusServer {
 public:
  /// Picks its port; the server does not run yet.
  static Result<std::unique_ptr<PrometheusServer>> create(net::EventLoop& loop);
  Result<void> start(const net::Address& controller, const net::Address& gateway);
  Result<void> kill() { return process_->end(9); }
  Result<void> stop() { return process_->end(15); }
  [[nodiscard]] std::string url() const;

 private:
  explicit PrometheusServer(net::EventLoop& loop) : loop_(loop) {}
  net::EventLoop& loop_;
  std::uint16_t port_ = 0;
  WorkFolder folder_;
  std::unique_ptr<LiveProcess> process_;
};

}  // namespace flexpert::bench
