#include "scaling/kpa_decision.h"

#include <algorithm>
#include <cmath>

namespace flexpert::scaling {
namespace {

constexpr double kMostWanted = 1e6;
constexpr std::int64_t kTickMs = 2000;  // Knative's delay window has buckets of its tick interval
constexpr std::size_t kMostDelayed = 2048;

double delayed(const KpaSpec& spec, KpaState& state, std::int64_t unix_ms, double wanted) {
  const std::int64_t tick = unix_ms / kTickMs;
  const auto ticks = static_cast<std::int64_t>(std::ceil(spec.scale_down_delay_s * 1000 / static_cast<double>(kTickMs)));
  while (!state.delayed.empty() && state.delayed.front().tick <= tick - ticks) state.delayed.pop_front();
  while (!state.delayed.empty() && state.delayed.back().wanted <= wanted) state.delayed.pop_back();
  state.delayed.push_back({tick, wanted});
  if (state.delayed.size() > kMostDelayed) {
    state.delayed[1].wanted = state.delayed[0].wanted;
    state.delayed.pop_front();
  }
  return state.delayed.front().wanted;
}

void update_panic(const KpaSpec& spec, KpaState& state, std::int64_t unix_ms, bool over_threshold) {
  if (over_threshold) {
    state.panic_unix_ms = unix_ms;
  } else if (state.panic_unix_ms && static_cast<double>(unix_ms - *state.panic_unix_ms) > spec.stable_window_s * 1000) {
    state.panic_unix_ms.reset();
    state.most_in_panic = 0;
  }
}

}  // namespace

KpaState KpaState::started(std::int64_t unix_ms, std::uint32_t ready) {
  KpaState state;
  if (ready > 1) {
    state.panic_unix_ms = unix_ms;
    state.most_in_panic = ready;
  }
  return state;
}

KpaDecision decide_kpa(const KpaSpec& spec, KpaState& state, std::int64_t unix_ms, std::uint32_t ready, double stable_value, double panic_value) {
  KpaDecision out;
  const double at_least_one = std::max(1.0, static_cast<double>(ready));
  const double most = std::ceil(spec.max_scale_up_rate * at_least_one);
  const double least = spec.reachable ? std::floor(at_least_one / spec.max_scale_down_rate) : 0;
  out.stable_wanted = std::ceil(stable_value / spec.target_value);
  out.panic_wanted = std::ceil(panic_value / spec.target_value);
  const auto bounded = [&](double wanted) {
    const double within = std::min(std::max(wanted, least), most);
    return within > 0 ? std::max(within, static_cast<double>(spec.activation_scale)) : within;
  };
  const double stable = bounded(out.stable_wanted);
  const double panic = bounded(out.panic_wanted);

  update_panic(spec, state, unix_ms, out.panic_wanted / at_least_one >= spec.panic_threshold);
  double wanted = stable;
  if (state.panic_unix_ms) {
    state.most_in_panic = std::max({state.most_in_panic, stable, panic});
    wanted = state.most_in_panic;
    out.panic = true;
  }
  if (spec.scale_down_delay_s > 0) wanted = delayed(spec, state, unix_ms, wanted);
  out.wanted = static_cast<std::uint32_t>(std::min(wanted, kMostWanted));

  if (spec.target_burst_capacity > 0) {
    out.excess_burst_capacity = std::floor(ready * spec.total_value - spec.target_burst_capacity - panic_value);
  } else {
    out.excess_burst_capacity = spec.target_burst_capacity == 0 ? 0 : -1;
  }
  return out;
}

void KpaState::save(StateWriter& writer) const {
  writer.tag("kpa_state/1");
  writer.integer(panic_unix_ms ? 1 : 0);
  writer.integer(panic_unix_ms.value_or(0));
  writer.number(most_in_panic);
  writer.integer(static_cast<std::int64_t>(delayed.size()));
  for (const Delayed& each : delayed) {
    writer.integer(each.tick);
    writer.number(each.wanted);
  }
}

void KpaState::restore(StateReader& reader) {
  KpaState read;
  reader.tag("kpa_state/1");
  const bool panic = reader.integer() != 0;
  const std::int64_t since = reader.integer();
  if (panic) read.panic_unix_ms = since;
  read.most_in_panic = reader.number();
  const std::int64_t count = reader.integer();
  if (count < 0 || count > static_cast<std::int64_t>(kMostDelayed)) reader.reject("a delay window has too many steps");
  for (std::int64_t i = 0; i < count && reader.ok(); ++i) {
    const std::int64_t tick = reader.integer();
    read.delayed.push_back({tick, reader.number()});
  }
  *this = reader.ok() ? read : KpaState{};
}

}  // namespace flexpert::scaling
