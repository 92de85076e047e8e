#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "base/state_text.h"
#include "fleet/decision.h"
#include "fleet/pool_snapshot.h"

namespace flexpert::scaling {

/// What is remembered of one instance.
struct InstanceTrack {
  std::int64_t unready_unix_ms = 0;    ///< not ready since, short spells of readiness not counted; 0: settled
  std::int64_t leaving_unix_ms = 0;    ///< told to go at; 0: not
  std::int64_t resized_unix_ms = 0;
  bool overdue = false;                ///< cancelled because it never became ready
  bool was_warm = false;
};

/// A start that was ordered and is not seen yet.
struct OrderedStart {
  std::int64_t unix_ms = 0;
  bool warm = false;
};

/// What is remembered of a pool's instances between cycles.
struct PoolRoster {
  std::map<InstanceId, InstanceTrack> tracks;
  std::deque<OrderedStart> unseen;
  std::uint32_t warm_bound = 0;        ///< of those that start (or are unseen): meant for the warm pool
  std::uint32_t failures = 0;          ///< start-ups in a row that were given up
  std::int64_t backoff_until_unix_ms = 0;

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);
};

/// One pool's instances, counted. Those that were told to go count as held, and as nothing else.
struct Census {
  std::uint32_t held = 0;              ///< all that exist or were ordered
  std::uint32_t starting = 0;          ///< failed ones that are being restarted and unseen ones included, warm-bound ones not
  std::uint32_t warm = 0;
  std::uint32_t warm_bound = 0;
  std::uint32_t ready = 0;
  std::uint32_t draining = 0;
  std::uint32_t probes = 0;            ///< not ready yet, whatever for
  std::vector<bool> present;           ///< by the instance's index: may be chosen as a victim
  std::vector<InstanceId> overdue;     ///< to be cancelled now: not ready in time
  std::vector<Reason> conditions;

  [[nodiscard]] std::uint32_t current() const { return starting + ready; }
};

struct CensusOptions {
  double interval_s = 15;
  double never_ready_s = 600;
};

/// Counts a pool's instances and brings its roster up to date. An instance that was not ready for never_ready_s, restarts
/// after crashes included, is listed as overdue once; each cycle with one lengthens the back-off (30 s, doubled up to half
/// an hour), and an instance that becomes ready for half a minute ends it. What was ordered and never appears, and what was
/// told to go and stays, is forgotten after three intervals, half a minute at least.
Census take_census(const PoolObservation& pool, std::int64_t unix_ms, const CensusOptions& options, PoolRoster& roster);

/// Returns how many instances may start now: as many as one likes, or after failures one at a time, and none within the
/// back-off.
std::uint32_t starts_allowed(const PoolRoster& roster, const Census& census, std::int64_t unix_ms);

}  // namespace flexpert::scaling
