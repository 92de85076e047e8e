#include "scaling/expert_utilisation.h"

#include <algorithm>
#include <cmath>

namespace flexpert::scaling {
namespace {

Reason reason_of(const char* code, const char* relation, double bound, double utilisation, double rows_per_s, std::uint32_t replicas,
                 const ExpertUtilisationOptions& options, const LoadWindow& window) {
  return {code,
          fmt::format("utilisation {:.2f} is {} {:.2f}: {:.1f} rows/s over {} replicas of {:.1f} rows/s", utilisation, relation, bound,
                      rows_per_s, replicas, options.replica_capacity_rows_per_s),
          {{"utilisation", utilisation},
           {"bound", bound},
           {"rows_per_s", rows_per_s},
           {"replicas", replicas},
           {"replica_capacity_rows_per_s", options.replica_capacity_rows_per_s},
           {"window_s", window.seconds},
           {"window_tokens", static_cast<double>(window.tokens)},
           {"window_full", window.full ? 1.0 : 0.0}}};
}

/// What the expected load of one expert asks for.
struct Foresight {
  bool over = false;    ///< more replicas than now
  bool under = false;   ///< half of them
  std::uint32_t enough = 0;
  double utilisation = 0;
};

Foresight foresee(const ExpertPrediction* prediction, std::size_t slot, std::uint32_t replicas, double measured,
                  const ExpertUtilisationOptions& options) {
  if (prediction == nullptr || slot >= prediction->rows_per_s.size() || replicas == 0) return {};
  const double expected = prediction->rows_per_s[slot];
  Foresight out;
  out.utilisation = utilisation_of(expected, replicas, options.replica_capacity_rows_per_s);
  out.over = out.utilisation > prediction->high;
  out.under = out.utilisation < prediction->low && measured < prediction->low;
  const double enough = std::ceil(expected / (options.replica_capacity_rows_per_s * prediction->high));
  out.enough = static_cast<std::uint32_t>(std::clamp(enough, 1.0, static_cast<double>(options.max_replicas)));
  return out;
}

Reason predicted_reason(const ExpertPrediction& prediction, const Foresight& foresight, double measured, std::uint32_t from,
                        std::uint32_t to) {
  return {"predicted",
          fmt::format("utilisation {:.2f} now, {:.2f} expected in {:.0f} s (low {:.2f}, high {:.2f}): {} to {} replicas", measured,
                      foresight.utilisation, prediction.horizon_s, prediction.low, prediction.high, from, to),
          {{"utilisation", measured},
           {"expected_utilisation", foresight.utilisation},
           {"horizon_s", prediction.horizon_s},
           {"low", prediction.low},
           {"high", prediction.high},
           {"replicas", from}}};
}

}  // namespace

Result<void> validate(const ExpertUtilisationOptions& options) {
  const auto bad = [](std::string_view what) { return fail(ErrorCode::kInvalidArgument, "expert scaling: {}", what); };
  if (!(options.replica_capacity_rows_per_s > 0) || !std::isfinite(options.replica_capacity_rows_per_s))
    return bad("replica_capacity_rows_per_s must be over 0");
  if (!(options.low >= 0) || !(options.high > 0) || !std::isfinite(options.high)) return bad("low must be at least 0 and high over 0");
  if (!(options.low < options.high / 2))
    return fail(ErrorCode::kInvalidArgument,
                "expert scaling: low must be under half of high, or a doubling would trigger a halving: low {}, high {}", options.low,
                options.high);
  if (options.min_replicas < 1 || options.min_replicas > options.max_replicas)
    return bad("min_replicas must be at least 1 and at most max_replicas");
  if (!(options.smoothing > 0) || !(options.smoothing <= 1)) return bad("smoothing must be over 0 and at most 1");
  if (options.cooldown < Duration::zero()) return bad("cooldown must not be negative");
  if (options.longest_window <= Duration::zero()) return bad("longest_window must be over 0");
  return {};
}

double utilisation_of(double rows_per_s, std::uint32_t replicas, double replica_capacity_rows_per_s) {
  if (replicas == 0 || !(replica_capacity_rows_per_s > 0)) return 0;
  return rows_per_s / replicas / replica_capacity_rows_per_s;
}

std::optional<LoadWindow> observe_loads(ExpertUtilisationState& state, const ExpertUtilisationOptions& options,
                                        const CumulativeLoads& loads) {
  if (!state.window_start || state.window_start->rows.size() != loads.rows.size()) {
    state.window_start = loads;
    state.tokens_at_full_window = loads.tokens;
    state.rows_per_s.clear();
    state.changed_at.assign(loads.rows.size(), std::nullopt);
    return std::nullopt;
  }
  const CumulativeLoads& start = *state.window_start;
  if (loads.at <= start.at || loads.tokens < start.tokens) return std::nullopt;
  const std::uint64_t tokens = loads.tokens - start.tokens;
  const bool long_enough = loads.at - start.at >= options.longest_window;
  if (tokens < options.window_tokens && !long_enough) return std::nullopt;

  LoadWindow window;
  window.seconds = to_seconds(loads.at - start.at);
  window.tokens = tokens;
  window.full = loads.tokens - state.tokens_at_full_window >= options.window_tokens;
  const bool first = state.rows_per_s.empty();
  if (first) state.rows_per_s.assign(loads.rows.size(), 0);
  const double weight = first ? 1.0 : options.smoothing;
  for (std::size_t i = 0; i < loads.rows.size(); ++i) {
    const double rate = static_cast<double>(loads.rows[i] - std::min(loads.rows[i], start.rows[i])) / window.seconds;
    state.rows_per_s[i] += weight * (rate - state.rows_per_s[i]);
  }
  if (window.full) state.tokens_at_full_window = loads.tokens;
  state.window_start = loads;
  ++state.windows;
  return window;
}

UtilisationDecision decide_replicas(const ExpertUtilisationState& state, const ExpertUtilisationOptions& options,
                                    const ExpertGeometry& geometry, const LoadWindow& window, std::span<const std::uint32_t> replicas,
                                    TimePoint now, const ExpertPrediction* prediction) {
  UtilisationDecision out;
  const std::size_t slots = std::min(geometry.size(), replicas.size());
  out.replicas.resize(slots);
  out.utilisation.resize(slots);
  for (std::size_t i = 0; i < slots; ++i) {
    const std::uint32_t current = replicas[i];
    std::uint32_t& wanted = out.replicas[i];
    wanted = std::clamp(current, options.min_replicas, options.max_replicas);
    const double rows_per_s = i < state.rows_per_s.size() ? state.rows_per_s[i] : 0;
    const double utilisation = utilisation_of(rows_per_s, wanted, options.replica_capacity_rows_per_s);
    out.utilisation[i] = utilisation;
    if (current != wanted || i >= state.rows_per_s.size()) continue;  // the bounds alone ask for it; nothing was measured

    const Foresight foresight = foresee(prediction, i, current, utilisation, options);
    const bool measured_over = utilisation > options.high;
    const bool over = measured_over || foresight.over;
    const bool under = !over && (utilisation < options.low || foresight.under);
    if (!over && !under) continue;
    const ExpertSlot slot = geometry.slot(i);
    Reason reason = reason_of(over ? "utilisation_high" : "utilisation_low", over ? "over" : "under",
                              over ? options.high : options.low, utilisation, rows_per_s, current, options, window);
    std::uint32_t next =
        over ? std::min(options.max_replicas, current > options.max_replicas / 2 ? options.max_replicas : current * 2)
             : std::max(options.min_replicas, current - current / 2);
    if (foresight.over) {
      next = measured_over ? std::max(next, foresight.enough) : std::max(current, foresight.enough);
      if (!measured_over) reason = predicted_reason(*prediction, foresight, utilisation, current, next);
    } else if (under && !(utilisation < options.low)) {
      reason = predicted_reason(*prediction, foresight, utilisation, current, next);
    }
    const auto hold = [&](const char* code, const std::string& why) {
      Reason held = reason;
      held.code = code;
      held.text += why;
      out.holds.push_back({slot, std::move(held)});
    };
    if (next == current) {
      if (over) hold("at_max", fmt::format("; held: {} replicas are the most allowed", options.max_replicas));
      continue;  // one at the minimum is simply idle, which is no news
    }
    if (under && foresight.utilisation > (prediction != nullptr ? prediction->high / 2 : 1)) {
      reason = predicted_reason(*prediction, foresight, utilisation, current, current);
      hold("predicted", "; held: load is expected");
      continue;
    }
    if (over && !window.full) {
      hold("few_tokens", fmt::format("; held: fewer than {} tokens were routed", options.window_tokens));
      continue;
    }
    if (i < state.changed_at.size() && state.changed_at[i] && now - *state.changed_at[i] < options.cooldown) {
      hold("cooldown", fmt::format("; held: changed {:.1f} s ago", to_seconds(now - *state.changed_at[i])));
      continue;
    }
    wanted = next;
    out.actions.push_back({over ? ActionKind::kExpertScaleUp : ActionKind::kExpertScaleDown, slot, {}, current, next, {reason}});
  }
  return out;
}

void note_change(ExpertUtilisationState& state, std::size_t slot_index, TimePoint now) {
  if (slot_index >= state.changed_at.size()) state.changed_at.resize(slot_index + 1);
  state.changed_at[slot_index] = now;
}

}  // namespace flexpert::scaling
