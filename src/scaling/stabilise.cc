#include "scaling/stabilise.h"

#include <algorithm>
#include <cmath>

namespace flexpert::scaling {
namespace {

constexpr std::size_t kMostSteps = 256;
constexpr std::uint32_t kMostCaution = 3;
constexpr double kLeastRegretS = 3600;
constexpr std::int64_t kCalmRegrets = 4;

std::int64_t ms(double seconds) { return static_cast<std::int64_t>(std::llround(seconds * 1000)); }

Reason held(std::string code, std::string text, std::uint32_t wanted, std::uint32_t given) {
  return {std::move(code), std::move(text), {{"wanted", wanted}, {"given", given}}};
}

std::int64_t regret_ms(const StabilisationOptions& options) { return ms(std::max(kLeastRegretS, 4 * options.down_window_s)); }

void note_growth(const StabilisationInput& input, const StabilisationOptions& options, StabilisationState& state) {
  if (state.shrunk_unix_ms > state.grown_unix_ms && input.unix_ms - state.shrunk_unix_ms < regret_ms(options)) {
    state.caution = std::min(state.caution + 1, kMostCaution);
    state.caution_unix_ms = input.unix_ms;
  }
  state.grown_unix_ms = input.unix_ms;
}

void relax(const StabilisationInput& input, const StabilisationOptions& options, StabilisationState& state) {
  const std::int64_t calm_ms = kCalmRegrets * regret_ms(options);
  while (state.caution > 0 && input.unix_ms - state.caution_unix_ms >= calm_ms) {
    --state.caution;
    state.caution_unix_ms += calm_ms;
  }
}

std::uint32_t grow(const StabilisationInput& input, const StabilisationOptions& options, const StabilisationState& state,
                   std::vector<Reason>& reasons) {
  const std::uint32_t floor = std::min(input.min, input.wanted);
  std::uint32_t to = input.wanted;
  const auto least = static_cast<std::uint32_t>(-state.wanted_negated.largest());
  if (least < to) {
    to = std::max(least, input.current);
    reasons.push_back(held("up_window", fmt::format("{} is wanted, {} was enough within {} s", input.wanted, least, options.up_window_s), input.wanted, to));
  }
  if (options.max_step_up && to > input.current && to - input.current > *options.max_step_up) {
    to = input.current + *options.max_step_up;
    reasons.push_back(held("max_step_up", fmt::format("at most {} more in one cycle", *options.max_step_up), input.wanted, to));
  }
  const double loading = std::max(1.0, std::floor(options.max_loading * input.ready));
  const double bound = std::max({input.ready + loading, static_cast<double>(input.current), static_cast<double>(floor)});
  if (to > bound) {
    to = static_cast<std::uint32_t>(bound);
    reasons.push_back(held("still_loading", fmt::format("{} instances load, at most {} may at once", input.current - std::min(input.current, input.ready),
                                                        loading), input.wanted, to));
  }
  return std::max(to, floor);
}

std::uint32_t shrink(const StabilisationInput& input, const StabilisationOptions& options, const StabilisationState& state,
                     std::int64_t window_ms, std::vector<Reason>& reasons) {
  if (!input.may_shrink) {
    reasons.push_back(held("shrink_blocked", "data is missing, so nothing is taken away", input.wanted, input.current));
    return input.current;
  }
  const std::int64_t since_growth = input.unix_ms - state.grown_unix_ms;
  if (!input.idle && state.grown_unix_ms != 0 && since_growth < ms(options.min_between_reversals_s)) {
    reasons.push_back(held("recent_growth", fmt::format("it grew {} s ago, so it does not shrink before {} s", since_growth / 1000,
                                                        options.min_between_reversals_s), input.wanted, input.current));
    return input.current;
  }
  auto to = static_cast<std::uint32_t>(std::max<std::int64_t>(state.kept.largest(), input.wanted));
  if (to >= input.current) {
    reasons.push_back(held("down_window", fmt::format("{} is wanted, but within {} s it took {}", input.wanted, window_ms / 1000, to), input.wanted,
                           input.current));
    return input.current;
  }
  if (to > input.wanted)
    reasons.push_back(held("down_window", fmt::format("{} is wanted, but within {} s it took {}", input.wanted, window_ms / 1000, to), input.wanted, to));
  if (options.max_step_down && input.current - to > *options.max_step_down) {
    to = input.current - *options.max_step_down;
    reasons.push_back(held("max_step_down", fmt::format("at most {} fewer in one cycle", *options.max_step_down), input.wanted, to));
  }
  return to;
}

}  // namespace

void WindowMaximum::add(std::int64_t unix_ms, std::int64_t value) {
  while (!steps_.empty() && steps_.back().value <= value) steps_.pop_back();
  steps_.push_back({unix_ms, value});
  if (steps_.size() <= kMostSteps) return;
  steps_[1].value = steps_[0].value;
  steps_.pop_front();
}

void WindowMaximum::expire(std::int64_t unix_ms, std::int64_t window_ms) {
  while (steps_.size() > 1 && unix_ms - steps_.front().unix_ms > window_ms) steps_.pop_front();
}

void WindowMaximum::save(StateWriter& writer) const {
  writer.integer(static_cast<std::int64_t>(steps_.size()));
  for (const Step& step : steps_) {
    writer.integer(step.unix_ms);
    writer.integer(step.value);
  }
}

void WindowMaximum::restore(StateReader& reader) {
  steps_.clear();
  const std::int64_t count = reader.integer();
  if (count < 0 || count > static_cast<std::int64_t>(kMostSteps)) return reader.reject("a window has too many steps");
  for (std::int64_t i = 0; i < count && reader.ok(); ++i) {
    const std::int64_t unix_ms = reader.integer();
    const std::int64_t value = reader.integer();
    if (!steps_.empty() && (unix_ms < steps_.back().unix_ms || value >= steps_.back().value)) return reader.reject("a window is out of order");
    steps_.push_back({unix_ms, value});
  }
}

void StabilisationState::save(StateWriter& writer) const {
  writer.tag("stabilisation/2");
  kept.save(writer);
  wanted_negated.save(writer);
  writer.integer(grown_unix_ms);
  writer.integer(shrunk_unix_ms);
  writer.integer(caution);
  writer.integer(caution_unix_ms);
  writer.integer(blind_unix_ms);
}

void StabilisationState::restore(StateReader& reader) {
  StabilisationState read;
  reader.tag("stabilisation/2");
  read.kept.restore(reader);
  read.wanted_negated.restore(reader);
  read.grown_unix_ms = reader.integer();
  read.shrunk_unix_ms = reader.integer();
  const std::int64_t caution_read = reader.integer();
  read.caution_unix_ms = reader.integer();
  read.blind_unix_ms = reader.integer();
  if (caution_read < 0 || caution_read > kMostCaution) reader.reject("a stabilisation's caution is out of range");
  read.caution = static_cast<std::uint32_t>(caution_read);
  *this = reader.ok() ? read : StabilisationState{};
}

Stabilised stabilise(const StabilisationInput& input, const StabilisationOptions& options, StabilisationState& state) {
  relax(input, options, state);
  const std::int64_t down_ms = ms(options.down_window_s) << state.caution;
  // What came before the first cycle, and in a whole window without data, is not known: the count that it left stands for it.
  const bool unknown = state.kept.empty() || (input.may_shrink && state.blind_unix_ms != 0 && input.unix_ms - state.blind_unix_ms >= down_ms);
  if (unknown) state.kept.add(input.unix_ms, std::max({input.current, input.keep, input.wanted}));
  if (input.may_shrink) state.blind_unix_ms = 0;
  else if (state.blind_unix_ms == 0) state.blind_unix_ms = input.unix_ms;
  // A count that stays for lack of data says nothing about what is needed.
  if (input.may_shrink || std::max(input.keep, input.wanted) > input.current)
    state.kept.add(input.unix_ms, std::max(input.keep, input.wanted));
  state.kept.expire(input.unix_ms, down_ms);
  state.wanted_negated.add(input.unix_ms, -static_cast<std::int64_t>(input.wanted));
  state.wanted_negated.expire(input.unix_ms, ms(options.up_window_s));

  Stabilised out;
  out.wanted = input.current;
  if (input.immediate) {
    out.wanted = input.wanted;
  } else if (input.wanted > input.current) {
    out.wanted = grow(input, options, state, out.reasons);
  } else if (input.wanted < input.current) {
    out.wanted = shrink(input, options, state, down_ms, out.reasons);
  }
  if (const std::uint32_t limited = std::clamp(out.wanted, std::min(input.min, input.max), input.max); limited != out.wanted) {
    out.reasons.push_back(held("limits", fmt::format("{} is outside {} to {}", out.wanted, input.min, input.max), out.wanted, limited));
    out.wanted = limited;
  }
  if (out.wanted > input.current && !input.immediate) note_growth(input, options, state);
  if (out.wanted < input.current && !input.immediate) state.shrunk_unix_ms = input.unix_ms;
  return out;
}

}  // namespace flexpert::scaling
