#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fleet/fleet_snapshot.h"
#include "net/address.h"
#include "routing/load_counts.h"

namespace flexpert::gateway {

/// A server that answers the OpenAI API: ours as the controller reports it, or a configured one.
struct ModelServer {
  std::string id;
  net::Address address;
  std::vector<std::string> models;
  bool of_fleet = false;
  bool ready = false;
  bool starting = false;    ///< not ready, and expected to be soon
  std::uint32_t queued = 0; ///< requests waiting there, by its own account
  std::int64_t pid = 0;
  std::uint32_t restarts = 0;
  std::optional<TimePoint> lost_at;  ///< when a request last found it gone, until it is seen anew

  [[nodiscard]] bool serves(const std::string& model) const;
};

/// All model servers and what is in flight on them. Belongs to the loop's thread.
class ServerDirectory {
 public:
  /// After this long a server that a request found gone may be tried again although nothing new was heard of it.
  static constexpr Duration kLostFor = Seconds(2);

  /// Calls `listener` after every change that may make a server ready.
  void on_change(std::function<void()> listener) { listener_ = std::move(listener); }

  /// The controller's fleet will come: until its first snapshot no model can be said not to exist. `model` is known even
  /// while nobody serves it, if given.
  void expect_fleet(const std::optional<std::string>& model);
  void add_configured(std::string id, net::Address address, std::vector<std::string> models);
  /// What a health check found. `models` replaces the list if given.
  void set_health(const std::string& id, bool ready, std::optional<std::vector<std::string>> models);
  /// Replaces what is known of the fleet's model servers; configured ones stay. Bad addresses are skipped.
  void apply(const FleetSnapshot& snapshot);
  /// A request found `id` gone: it gets no more until it is heard of anew.
  void mark_lost(const std::string& id, TimePoint now);

  /// Returns the least loaded ready server that has `model` and is not in `excluded`; null if there is none. The pointer
  /// holds until the next call that changes the directory.
  [[nodiscard]] const ModelServer* pick(const std::string& model, const std::vector<std::string>& excluded, TimePoint now) const;
  /// The same over the fleet's own servers only, which know /internal/experts.
  [[nodiscard]] const ModelServer* pick_of_fleet(const std::vector<std::string>& excluded, TimePoint now) const;
  /// Tells whether `model` is of a pool that is scaled: where no server has it, one can be expected.
  [[nodiscard]] bool scaled(const std::string& model) const;
  /// Tells whether `model` exists, or may for all that is known.
  [[nodiscard]] bool knows(const std::string& model) const;
  /// Tells whether a server with `model` is expected back: starting, or lost less than `within` ago.
  [[nodiscard]] bool recovering(const std::string& model, TimePoint now, Duration within) const;
  [[nodiscard]] bool any_ready(TimePoint now) const;
  /// Returns every known model once, sorted.
  [[nodiscard]] std::vector<std::string> models() const;
  [[nodiscard]] const std::map<std::string, ModelServer>& servers() const { return servers_; }

  [[nodiscard]] routing::LoadCounts& load() { return load_; }

 private:
  template <class Wanted>
  const ModelServer* pick_where(const std::vector<std::string>& excluded, TimePoint now, Wanted wanted) const;
  static bool usable(const ModelServer& server, TimePoint now);

  std::map<std::string, ModelServer> servers_;
  std::optional<std::string> expected_model_;
  std::vector<std::string> scaled_models_;  ///< of the fleet's pools
  bool fleet_pending_ = false;
  routing::LoadCounts load_;
  std::function<void()> listener_;
};

}  // namespace flexpert::gateway
