#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/state_text.h"
#include "fleet/decision.h"
#include "scaling/pool_config.h"

namespace flexpert::scaling {

/// The largest (or, over negated values, the smallest) of the values of a sliding window. Bounded: where too many steps
/// are alive the two oldest become one that is at least as large and as young, so the answer errs upwards only.
class WindowMaximum {
 public:
  void add(std::int64_t unix_ms, std::int64_t value);
  /// Forgets what is older than `window_ms` before `unix_ms`, the newest value never.
  void expire(std::int64_t unix_ms, std::int64_t window_ms);
  [[nodiscard]] bool empty() const { return steps_.empty(); }
  [[nodiscard]] std::int64_t largest() const { return steps_.front().value; }
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  struct Step {
    std::int64_t unix_ms = 0;
    std::int64_t value = 0;
  };
  std::deque<Step> steps_;  ///< times ascend, values descend
};

/// What stabilise() remembers of one pool.
struct StabilisationState {
  WindowMaximum kept;             ///< `keep` of combine()
  WindowMaximum wanted_negated;   ///< smallest wanted
  std::int64_t grown_unix_ms = 0;   ///< newest change upwards that was decided; 0: none
  std::int64_t shrunk_unix_ms = 0;
  std::uint32_t caution = 0;      ///< how often the down window is doubled, because shrinks had to be undone soon
  std::int64_t caution_unix_ms = 0;
  std::int64_t blind_unix_ms = 0;   ///< without data that a shrink could go by since; 0: there is some

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);
};

struct StabilisationInput {
  std::int64_t unix_ms = 0;
  std::uint32_t current = 0;   ///< starting and ready
  std::uint32_t ready = 0;
  std::uint32_t wanted = 0;    ///< of combine()
  std::uint32_t keep = 0;      ///< of combine()
  bool may_shrink = true;
  bool idle = false;           ///< it is known that there is no traffic: the wait after a growth does not hold
  bool immediate = false;      ///< a person asked for the count: only the limits hold
  std::uint32_t min = 0;       ///< limits in force
  std::uint32_t max = 0;
};

struct Stabilised {
  std::uint32_t wanted = 0;       ///< where to go this cycle
  std::vector<Reason> reasons;    ///< what held the wish back; empty if nothing did
};

/// Keeps a pool from following noise. Called once a cycle, also when nothing changes: the windows need every cycle.
/// Growth: to the least that was wanted in the up window; at most max_step_up; while instances load, no more than
/// max(1, max_loading * ready) of them at once, the minimum apart. Shrink: to the most of `keep` in the down window (so the
/// lower count would have held whatever was wanted in it, with the hysteresis free; before the first cycle, and after a whole
/// window without data: what was there); not within min_between_reversals_s of a growth unless idle; at most max_step_down; not
/// while may_shrink is false. A growth within an hour of a shrink (or four
/// down windows, if that is longer) shows that the shrink was wrong: the down window doubles, up to eightfold, and comes
/// back by half after four times as long without another. Limits hold in the result, at once.
Stabilised stabilise(const StabilisationInput& input, const StabilisationOptions& options, StabilisationState& state);

}  // namespace flexpert::scaling
