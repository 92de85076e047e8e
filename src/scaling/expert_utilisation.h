#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "fleet/decision.h"
#include "scaling/expert_forecast.h"
#include "scaling/load_accumulator.h"

/// How many replicas each expert should have, by its utilisation = rows/s / replicas / replica_capacity_rows_per_s.
namespace flexpert::scaling {

struct ExpertUtilisationOptions {
  double replica_capacity_rows_per_s = 0;   ///< what one replica can do; > 0
  double high = 0.8;                        ///< over it replicas double
  double low = 0.2;                         ///< under it they halve
  std::uint32_t min_replicas = 1;
  std::uint32_t max_replicas = 8;
  std::uint64_t window_tokens = 2048;       ///< routed tokens without which nothing is scaled up
  Duration longest_window = Seconds(5);     ///< after it a window with fewer tokens closes too, and may scale down
  double smoothing = 0.5;                   ///< weight of the newest window, (0, 1]
  Duration cooldown = Seconds(5);           ///< per expert, between two changes
};

/// Checks the options. low < high / 2 is demanded: doubling halves the utilisation, and that must not trigger halving.
Result<void> validate(const ExpertUtilisationOptions& options);

/// What the policy remembers between calls. Starts empty.
struct ExpertUtilisationState {
  std::optional<CumulativeLoads> window_start;         ///< at the newest closed window
  std::uint64_t tokens_at_full_window = 0;             ///< when the newest window of window_tokens closed
  std::uint64_t windows = 0;                           ///< closed so far
  std::vector<double> rows_per_s;                      ///< smoothed; empty before the first closed window
  std::vector<std::optional<TimePoint>> changed_at;    ///< the newest change of each expert's replicas
};

/// A closed window of measurement.
struct LoadWindow {
  double seconds = 0;
  std::uint64_t tokens = 0;
  bool full = false;  ///< since the newest full window at least window_tokens came in
};

/// Why an expert that is out of bounds keeps its replicas: "cooldown", "at_max", "few_tokens" or "predicted".
struct Hold {
  ExpertSlot slot;
  Reason reason;
};

struct UtilisationDecision {
  std::vector<std::uint32_t> replicas;  ///< wanted, for every slot
  std::vector<double> utilisation;      ///< at the replicas that were given
  std::vector<Action> actions;          ///< kExpertScaleUp and kExpertScaleDown, in slot order
  std::vector<Hold> holds;
};

/// Feeds the newest counters. Returns the window that this closes, if it does; only then is there something to decide.
std::optional<LoadWindow> observe_loads(ExpertUtilisationState& state, const ExpertUtilisationOptions& options,
                                        const CumulativeLoads& loads);

/// Decides from the smoothed loads. `replicas` are those in force; a slot with 0 replicas or no load stays as it is
/// unless the minimum asks for more. Bounds always hold in the result. Does not change the state: the caller calls
/// note_change() for every change that it really makes. With a prediction, an expert whose load is expected over its `high`
/// gets as many replicas as hold it now, one whose measured and expected load are under its `low` gives half of its replicas
/// up (reason "predicted" both ways), and one that idles before load comes keeps what it has.
UtilisationDecision decide_replicas(const ExpertUtilisationState& state, const ExpertUtilisationOptions& options,
                                    const ExpertGeometry& geometry, const LoadWindow& window, std::span<const std::uint32_t> replicas,
                                    TimePoint now, const ExpertPrediction* prediction = nullptr);

/// Starts the cool-down of one expert.
void note_change(ExpertUtilisationState& state, std::size_t slot_index, TimePoint now);

/// Returns rows/s / replicas / capacity; 0 for no replicas.
double utilisation_of(double rows_per_s, std::uint32_t replicas, double replica_capacity_rows_per_s);

}  // namespace flexpert::scaling
