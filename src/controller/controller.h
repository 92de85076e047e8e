#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "codec/expert_protocol.h"
#include "config/fleet_config.h"
#include "fleet/fleet_snapshot.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "platform/orchestrator.h"
#include "scaling/pool_planner.h"
#include "telemetry/metrics.h"

namespace flexpert::controller {

struct ControllerOptions {
  config::FleetConfig config;                ///< `model` may be absent: then there is nothing to run, only the API
  std::string program;                       ///< path of the flexpert binary, argv[0] of what is launched
  std::string runtime_dir;                   ///< an existing folder for sockets and the journal; absolute
  std::string pack_file;                     ///< the model's pack; default: config.model->pack
  std::uint64_t bytes_per_replica = 0;       ///< of an expert's weights, to count what moves; 0 = not counted
  /// How to greet an expert server of the model; without it the rows that servers computed are not asked for.
  std::optional<expert_protocol::Hello> hello;
  Duration longest_window = Seconds(5);      ///< after it a window of measurement closes with few tokens, too
  Duration first_table_wait = Seconds(10);   ///< after it the first table does with fewer than `min` expert servers
  Duration ready_timeout = Seconds(300);     ///< for a model server to load its model
  Duration drain_deadline = Seconds(10);     ///< for one process to finish its work

  // For `config.pools`:
  std::function<Result<std::unique_ptr<scaling::PoolPlanner>>(scaling::PlannerConfig)> make_planner;
  std::string config_text;                   ///< all of the configuration as YAML, for replay
  std::string config_source;                 ///< its file
  std::string version;                       ///< of this program
  std::map<std::string, std::string> packs;  ///< model folder -> its pack, for instances of pools
  bool instances_survive = false;            ///< instances of pools outlive us if we are killed; the next controller takes them over
  std::uint64_t kept_cycles = 50000;         ///< of the planner's journal, at least
  std::uint64_t checkpoint_cycles = 500;     ///< between two records from which the journal can be replayed
  Duration drain_grace = Milliseconds(500);  ///< for gateways to hear that an instance takes no more requests
};

/// The control loop. Launches the fleet of a configuration, measures, decides, acts, journals, and serves
/// docs/reference/internal-api.md, section Controller. Belongs to the loop's thread. The references must outlive it.
class Controller {
 public:
  /// Launches everything and starts to listen. Errors: a journal that is not ours, an address in use, a program that
  /// cannot be run, scaling options that would flap, paths too long for a Unix socket.
  static Result<std::unique_ptr<Controller>> create(net::EventLoop& loop, ControllerOptions options, platform::Orchestrator& orchestrator,
                                                    const Clock& clock, telemetry::Registry& registry);
  ~Controller();

  /// Where the API listens, with the port resolved.
  [[nodiscard]] const net::Address& address() const;
  [[nodiscard]] FleetSnapshot snapshot() const;
  /// True once a model server is ready and every ready one has the routing table in force, and every pool has its minimum.
  [[nodiscard]] bool ready() const;
  /// Stops model servers, then expert servers, then the API; calls `done` from the loop when all are gone or `deadline`
  /// has passed. Nothing is scaled or restarted from here on.
  void drain(Duration deadline, std::move_only_function<void()> done);

 private:
  struct Impl;
  explicit Controller(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::controller
