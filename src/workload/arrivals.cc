#include "workload/arrivals.h"

#include "base/rng.h"

namespace flexpert::workload {

namespace {

struct WeightedSet {
  std::uint32_t set = 0;
  double weight = 0;
};

Result<std::vector<WeightedSet>> resolve_mix(const Phase& phase, const std::vector<PromptSet>& sets) {
  std::vector<WeightedSet> resolved;
  for (const MixPart& part : phase.mix) {
    std::uint32_t index = 0;
    while (index < sets.size() && sets[index].name != part.set) ++index;
    if (index == sets.size()) {
      std::string known;
      for (const PromptSet& set : sets) known += (known.empty() ? "" : ", ") + set.name;
      return fail(ErrorCode::kNotFound, "phase {} names an unknown prompt set (known: {}): {}", phase.name, known, part.set);
    }
    if (sets[index].prompts.empty()) return fail(ErrorCode::kInvalidArgument, "prompt set is empty: {}", part.set);
    resolved.push_back({index, part.weight});
  }
  return resolved;
}

std::uint32_t draw_set(const std::vector<WeightedSet>& mix, Rng& rng) {
  double total = 0;
  for (const WeightedSet& part : mix) total += part.weight;
  double point = rng.uniform() * total;
  for (const WeightedSet& part : mix) {
    if (point < part.weight) return part.set;
    point -= part.weight;
  }
  return mix.back().set;  // rounding left the point just past the end
}

}  // namespace

Result<std::vector<Arrival>> plan_arrivals(const std::vector<Phase>& phases, const std::vector<PromptSet>& sets, std::uint64_t seed) {
  std::vector<Arrival> arrivals;
  Rng rng(seed);
  double phase_start = 0;
  for (std::uint32_t index = 0; index < phases.size(); ++index) {
    const Phase& phase = phases[index];
    FLEXPERT_TRY(validate(phase));
    FLEXPERT_ASSIGN(const std::vector<WeightedSet> mix, resolve_mix(phase, sets));
    if (phase.requests_per_s > 0) {
      const double mean_gap = 1 / phase.requests_per_s;
      for (double at = rng.exponential(mean_gap); at < phase.seconds; at += rng.exponential(mean_gap)) {
        Arrival arrival{.at = from_seconds(phase_start + at), .phase = index, .set = draw_set(mix, rng)};
        arrival.prompt = static_cast<std::uint32_t>(rng.below(sets[arrival.set].prompts.size()));
        arrival.seed = rng.next() >> 12;  // 52 bits: exact in a JSON number
        arrivals.push_back(arrival);
      }
    }
    phase_start += phase.seconds;
  }
  return arrivals;
}

Duration total_duration(const std::vector<Phase>& phases) {
  double seconds = 0;
  for (const Phase& phase : phases) seconds += phase.seconds;
  return from_seconds(seconds);
}

}  // namespace flexpert::workload
