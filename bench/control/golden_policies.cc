// Decisions of other autoscalers, case by case: ours for the same inputs.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "figures.h"
#include "scaling/apa.h"
#include "scaling/budget_clamp.h"
#include "scaling/kpa_decision.h"
#include "scaling/planner_easy_mode.h"
#include "scaling/policy_factory.h"
#include "scaling/power_budget.h"
#include "scaling/ray_serve.h"

namespace flexpert::bench {
namespace {

namespace json = boost::json;
using scaling::KpaSpec;
using scaling::KpaState;

double number(const json::object& in, const char* key, double otherwise = 0) {
  const json::value* value = in.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<double>() : otherwise;
}
std::uint32_t count(const json::object& in, const char* key, std::uint32_t otherwise = 0) {
  return static_cast<std::uint32_t>(number(in, key, otherwise));
}
std::int64_t whole(const json::object& in, std::size_t i) { return in.at("i").as_array().at(i).to_number<std::int64_t>(); }
std::optional<std::int64_t> maybe(const json::value& value) {
  return value.is_null() ? std::nullopt : std::optional(value.to_number<std::int64_t>());
}
std::optional<std::int64_t> maybe(const json::object& in, std::size_t i) { return maybe(in.at("i").as_array().at(i)); }

bool same(double got, double wanted, const std::string& what) {
  if (got != wanted) std::printf("  differs: %s: %g instead of %g\n", what.c_str(), got, wanted);
  return got == wanted;
}

// Dynamo's budgets: i = counts, GPUs an instance, floor, ceiling, minimum of both, or of each.
bool clamp_pair_case(const json::object& in) {
  const auto& i = in.at("i").as_array();
  scaling::ClampSide prefill{whole(in, 0), whole(in, 2), whole(in, 6)};
  scaling::ClampSide decode{whole(in, 1), whole(in, 3), whole(in, i.size() > 7 ? 7 : 6)};
  const scaling::GpuBand band{whole(in, 4), whole(in, 5)};
  const auto [p, d] = scaling::clamp_pair(prefill, decode, band);
  const std::int64_t gpus = p * prefill.gpus_per_instance + d * decode.gpus_per_instance;
  bool ok = true;
  if (const auto* exact = in.if_contains("exact")) ok = ok && p == exact->as_array()[0].as_int64() && d == exact->as_array()[1].as_int64();
  if (const auto* total = in.if_contains("total")) ok = ok && gpus >= total->as_array()[0].as_int64() && gpus <= total->as_array()[1].as_int64();
  if (in.contains("total_max")) ok = ok && gpus <= static_cast<std::int64_t>(number(in, "total_max"));
  if (in.contains("min_each")) ok = ok && std::min(p, d) >= static_cast<std::int64_t>(number(in, "min_each"));
  if (in.contains("idempotent")) {
    prefill.instances = p;
    decode.instances = d;
    ok = ok && scaling::clamp_pair(prefill, decode, band) == std::pair(p, d);
  }
  return ok;
}

bool clamp_single_case(const json::object& in) {
  const std::int64_t n = scaling::clamp_single({whole(in, 0), whole(in, 1), whole(in, 4)}, {whole(in, 2), whole(in, 3)});
  bool ok = true;
  if (const auto* exact = in.if_contains("exact")) ok = ok && n == exact->as_int64();
  if (const auto* range = in.if_contains("range")) ok = ok && n >= range->as_array()[0].as_int64() && n <= range->as_array()[1].as_int64();
  if (in.contains("min")) ok = ok && n >= static_cast<std::int64_t>(number(in, "min"));
  return ok;
}

bool tolerance_case(const json::object& in) {
  std::vector<std::int64_t> gpus;
  for (const json::value& each : in.at("i").as_array()) gpus.push_back(each.as_int64());
  return scaling::band_tolerance(gpus) == in.at("o").as_int64();
}

bool bounds_case(const json::object& in) {
  return scaling::within_band(whole(in, 0), {whole(in, 1), whole(in, 2)}, whole(in, 3)) == in.at("o").as_bool();
}

// i = proposals, current counts, watts an instance, budget, minimum.
bool power_case(const json::object& in) {
  const scaling::PowerSide prefill{maybe(in, 0), maybe(in, 2), maybe(in, 4), whole(in, 7)};
  const scaling::PowerSide decode{maybe(in, 1), maybe(in, 3), maybe(in, 5), whole(in, 7)};
  const scaling::PowerPlan plan = scaling::apply_power_budget(prefill, decode, whole(in, 6));
  const auto says = [&](const json::value& reason) { return reason.is_null() ? plan.reason.empty() : plan.reason == std::string_view(reason.as_string()); };
  bool ok = true;
  if (const auto* o = in.if_contains("o")) {
    const auto& wanted = o->as_array();
    ok = plan.prefill == maybe(wanted[0]) && plan.decode == maybe(wanted[1]) && says(wanted[2]);
  }
  if (const auto* reason = in.if_contains("reason")) ok = ok && says(*reason);
  if (in.contains("p_le")) ok = ok && plan.prefill.value_or(0) <= static_cast<std::int64_t>(number(in, "p_le"));
  if (in.contains("d_le")) ok = ok && plan.decode.value_or(0) <= static_cast<std::int64_t>(number(in, "d_le"));
  if (in.contains("d")) ok = ok && plan.decode == maybe(in.at("d"));
  if (in.contains("watts_le")) {
    const auto d = plan.decode ? plan.decode : decode.current;
    ok = ok && scaling::projected_watts(plan.prefill, prefill.watts, d, decode.watts) <= static_cast<std::int64_t>(number(in, "watts_le"));
  }
  return ok;
}

bool power_fits_case(const json::object& in) {
  const std::int64_t min = whole(in, 1);
  return scaling::minimum_power_fits(whole(in, 0), {{}, {}, maybe(in, 2), min}, {{}, {}, maybe(in, 3), min}) == in.at("o").as_bool();
}

/// One side of a rule such as ">=0.1 any" or "queued/context_length>=1.0 on any engine".
struct EasyRule {
  std::string comparison;
  double bound = 0;

  static EasyRule of(const std::string& text) {
    const std::size_t at = text.find_first_of("<>=");
    const std::size_t digits = text.find_first_of("0123456789", at);
    return {text.substr(at, digits - at), std::strtod(text.c_str() + digits, nullptr)};
  }
  [[nodiscard]] bool holds(double value) const {
    if (comparison == ">=") return value >= bound;
    if (comparison == ">") return value > bound;
    if (comparison == "<") return value < bound;
    return value == bound;
  }
};

int easy_step(std::string_view name, const std::vector<double>& pressures) {
  const auto target = name.ends_with("latency") ? scaling::EasyModeTarget::kLatency : scaling::EasyModeTarget::kThroughput;
  std::vector<scaling::PrefillPressure> prefill;
  std::vector<scaling::DecodePressure> decode;
  for (const double each : pressures) {
    prefill.push_back({each * 1000, 1000});
    decode.push_back({each * 750, each * 250, 1000});
  }
  return name.starts_with("prefill") ? scaling::easy_prefill_step(prefill, target) : scaling::easy_decode_step(decode, target);
}

/// Every pair of engines from idle to overfull, bounds included, against the rule as it is written.
bool easy_mode_case(std::string_view name, const json::object& rules) {
  const EasyRule up = EasyRule::of(std::string(rules.at("up").as_string()));
  const EasyRule down = EasyRule::of(std::string(rules.at("down").as_string()));
  const double values[] = {0, 0.05, 0.1, 0.3, 0.4, 0.41, 0.6, 0.61, 0.99, 1.0, 1.01, 2};
  for (const double a : values) {
    for (const double b : values) {
      const int wanted = up.holds(a) || up.holds(b) ? 1 : down.holds(a) && down.holds(b) ? -1 : 0;
      if (easy_step(name, {a, b}) != wanted) return same(easy_step(name, {a, b}), wanted, fmt::format("{} at {} and {}", name, a, b));
    }
  }
  return true;
}

KpaSpec knative_spec(const json::object& in, const json::object& defaults) {
  KpaSpec spec;
  spec.target_value = number(in, "target");
  spec.total_value = spec.target_value / 0.75;
  spec.max_scale_up_rate = number(in, "max_scale_up_rate", number(defaults, "max_scale_up_rate"));
  spec.max_scale_down_rate = number(in, "max_scale_down_rate", number(defaults, "max_scale_down_rate"));
  spec.panic_threshold = number(in, "panic_threshold", number(defaults, "panic_threshold"));
  spec.stable_window_s = number(defaults, "stable_window_s");
  spec.target_burst_capacity = number(in, "tbc");
  spec.scale_down_delay_s = number(in, "scale_down_delay_s");
  spec.activation_scale = count(in, "activation_scale", 1);
  const json::value* reachable = in.if_contains("reachable");
  spec.reachable = reachable == nullptr || reachable->as_bool();
  return spec;
}

/// The burst capacity is checked beside every step, by the rule of knative_defaults.
bool knative_case(const json::object& in, const json::object& defaults, bool burst_capacity) {
  KpaSpec spec = knative_spec(in, defaults);
  KpaState state = KpaState::started(0, 1);
  bool ok = true;
  for (const json::value& each : in.at("steps").as_array()) {
    const json::object& step = each.as_object();
    const auto at = static_cast<std::int64_t>(number(step, "t") * 1000);
    const std::uint32_t ready = count(step, "ready");
    const double panic = number(step, "panic");
    const auto decision = scaling::decide_kpa(spec, state, at, ready, number(step, "stable"), panic);
    const double tbc = spec.target_burst_capacity;
    const double wanted_ebc = tbc == 0 ? 0 : tbc > 0 ? std::floor(ready * spec.total_value - tbc - panic) : -1;
    ok = ok && (burst_capacity ? same(decision.excess_burst_capacity, wanted_ebc, "excess burst capacity") : same(decision.wanted, number(step, "o"), json::serialize(step)));
  }
  return ok;
}

bool aibrix_kpa_case(const json::object& in) {
  KpaSpec spec;
  spec.target_value = spec.total_value = number(in, "target");
  spec.max_scale_up_rate = number(in, "up");
  spec.max_scale_down_rate = number(in, "down");
  spec.activation_scale = count(in, "act");
  KpaState state;
  if (in.at("in_panic").as_bool()) state.panic_unix_ms = 0;
  state.most_in_panic = number(in, "max_panic");
  return same(scaling::decide_kpa(spec, state, 0, count(in, "n"), number(in, "stable"), number(in, "panic")).wanted, number(in, "o"), json::serialize(in));
}

bool aibrix_apa_case(const json::object& in) {
  const scaling::ApaOptions options{number(in, "target"), number(in, "up_tol"), number(in, "down_tol"), number(in, "up_rate"), number(in, "down_rate")};
  return same(scaling::decide_apa(options, count(in, "n"), number(in, "use")), number(in, "o"), json::serialize(in));
}

bool ray_serve_case(const json::object& in) {
  const scaling::RayServeOptions options{number(in, "target"), number(in, "up_factor", 1), number(in, "down_factor", 1)};
  return same(scaling::decide_ray_serve(options, count(in, "current"), number(in, "total")), number(in, "o"), json::serialize(in));
}

/// A pool whose instances have been ready for long, as the target-tracking policy sees it.
PoolObservation pool_of(std::uint32_t instances, double value) {
  PoolObservation pool;
  pool.pool = PoolId{"p"};
  for (std::uint32_t i = 0; i < instances; ++i) {
    PoolInstance instance;
    instance.id = InstanceId{fmt::format("i{}", i)};
    instance.state = InstanceState::kReady;
    instance.metrics["m"] = {value, 0};
    pool.instances.push_back(std::move(instance));
  }
  return pool;
}

std::uint32_t ask(scaling::Policy& policy, const PoolObservation& pool, std::int64_t unix_ms) {
  const auto n = static_cast<std::uint32_t>(pool.instances.size());
  return policy.propose({pool, unix_ms, 15, n, n, {}, {}}).replicas.value_or(0);
}

Result<bool> hpa_case(const json::object& in) {
  scaling::TargetTrackingOptions options;
  options.metrics.push_back({"m", scaling::TargetMetric::Kind::kPerInstance, number(in, "target", 100)});
  options.tolerance = number(in, "tol", 0.1);
  options.down.stabilisation_s = 0;
  const json::value* sequence = in.if_contains("sequence");
  using Kind = scaling::RatePolicy::Kind;
  if (sequence != nullptr) options.down.policies = {{Kind::kInstances, 4, 60}, {Kind::kPercent, 10, 60}};
  FLEXPERT_ASSIGN(const auto policy, scaling::make_policy({"hpa", scaling::CombineRule::kMax, options}, {}));
  std::uint32_t current = count(in, "current");
  constexpr std::int64_t kMinuteMs = 60'000;
  if (sequence == nullptr) return same(ask(*policy, pool_of(current, number(in, "value")), kMinuteMs), number(in, "o"), json::serialize(in));
  bool ok = true;
  std::int64_t now = kMinuteMs;
  for (const json::value& wanted : sequence->as_array()) {
    // As many as are desired would be at their target.
    const double value = 100 * number(in, "desired") / current;
    current = ask(*policy, pool_of(current, value), now += kMinuteMs);
    ok = ok && same(current, wanted.to_number<double>(), "hpa sequence");
  }
  return ok;
}

using Case = std::function<Result<bool>(const json::object&)>;

Result<void> all_of(Figures& figures, const json::object& golden, const char* name, const Case& holds) {
  const json::value* cases = golden.if_contains(name);
  if (cases == nullptr) return fail(ErrorCode::kInvalidArgument, "there is no {} among the golden cases", name);
  std::size_t right = 0;
  for (const json::value& each : cases->as_array()) {
    FLEXPERT_ASSIGN(const bool holds_here, holds(each.as_object()));
    right += holds_here ? 1 : 0;
    if (!holds_here) std::printf("  falls short: %s %s\n", name, json::serialize(each).c_str());
  }
  const std::size_t total = cases->as_array().size();
  figures.hold(name, static_cast<double>(right), "cases", fmt::format("{}", total), right == total && total > 0);
  return {};
}

Result<void> measure_cases(const json::object& golden, Figures& figures) {
  const json::object& defaults = golden.at("knative_defaults").as_object();
  FLEXPERT_TRY(all_of(figures, golden, "hpa", hpa_case));
  FLEXPERT_TRY(all_of(figures, golden, "knative_kpa", [&](const json::object& in) { return knative_case(in, defaults, false); }));
  bool burst = true;
  for (const json::value& each : golden.at("knative_kpa").as_array())
    for (const double tbc : {number(each.as_object(), "tbc"), 0.0, -1.0}) {
      json::object changed = each.as_object();
      changed["tbc"] = tbc;
      burst = burst && knative_case(changed, defaults, true);
    }
  figures.hold("knative_defaults", burst ? 1 : 0, "cases", "1", burst);
  FLEXPERT_TRY(all_of(figures, golden, "aibrix_apa", aibrix_apa_case));
  FLEXPERT_TRY(all_of(figures, golden, "aibrix_kpa", aibrix_kpa_case));
  FLEXPERT_TRY(all_of(figures, golden, "ray_serve", ray_serve_case));
  FLEXPERT_TRY(all_of(figures, golden, "dynamo_clamp_pair", clamp_pair_case));
  FLEXPERT_TRY(all_of(figures, golden, "dynamo_clamp_single", clamp_single_case));
  FLEXPERT_TRY(all_of(figures, golden, "dynamo_tolerance", tolerance_case));
  FLEXPERT_TRY(all_of(figures, golden, "dynamo_bounds", bounds_case));
  FLEXPERT_TRY(all_of(figures, golden, "dynamo_power", power_case));
  FLEXPERT_TRY(all_of(figures, golden, "dynamo_power_fits", power_fits_case));
  std::size_t easy = 0;
  const json::object& modes = golden.at("dynamo_easy_mode").as_object();
  for (const auto& mode : modes) easy += easy_mode_case(mode.key(), mode.value().as_object()) ? 1 : 0;
  figures.hold("dynamo_easy_mode", static_cast<double>(easy), "cases", fmt::format("{}", modes.size()), easy == modes.size());
  std::printf("not covered: dynamo_engine_query (2 cases): how Dynamo's router asks its engine model (a prefix-cache hit rate that divides the\n"
              "  prompt, the batch sizes it tries); no policy and no clamp\n");
  return {};
}

Result<void> measure(const std::string& folder, Figures& figures) {
  const std::string path = folder + "/golden/golden_policies.json";
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  boost::system::error_code error;
  const json::value golden = json::parse(text.str(), error);
  if (!file || error || !golden.is_object()) return fail(ErrorCode::kInvalidArgument, "{} cannot be read as a JSON object", path);
  try {
    return measure_cases(golden.as_object(), figures);
  } catch (const std::exception& wrong) {
    return fail(ErrorCode::kInvalidArgument, "{} is not of the expected form: {}", path, wrong.what());
  }
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_folder_measurement(
      argc, argv, "golden-policies",
      "decisions of Kubernetes' HPA, Knative's and AIBrix' autoscalers, Ray Serve and Dynamo's budget clamps (golden_policies.json), by our "
      "functions for the same inputs; HPA through the whole policy",
      flexpert::bench::measure);
}
