#include "scaling/classic_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace flexpert::scaling {
namespace {

/// Rounds up to whole instances within bounds; what is no number or negative is no instance.
std::uint32_t instances(double wanted, std::uint32_t least, std::uint32_t most) {
  const double whole = wanted > 0 ? std::min(std::ceil(wanted), static_cast<double>(UINT32_MAX)) : 0;
  return std::clamp(static_cast<std::uint32_t>(whole), std::min(least, most), most);
}

bool is_amount(double value) { return std::isfinite(value) && value >= 0; }

double half(const ClassicTraffic& next) { return next.isl + next.osl / 2; }

/// Source: Dynamo v0.5.1, planner_core: the budget's clamp, without its rounding up.
void fit_budget(ClassicPlan& plan, const ClassicPlanOptions& options) {
  const double budget = *options.gpu_budget, prefill_gpus = options.gpus_per_prefill, decode_gpus = options.gpus_per_decode;
  const double total = plan.prefill * prefill_gpus + plan.decode * decode_gpus;
  if (total <= budget || options.gpus_per_prefill == 0 || options.gpus_per_decode == 0) return;
  const double scaled = std::nearbyint(plan.prefill * (budget / total));
  plan.prefill = std::max(options.min_prefill, static_cast<std::uint32_t>(scaled));
  const auto room = [&](double gpus_taken, double gpus) {
    return static_cast<std::uint32_t>(std::floor(std::max(0.0, budget - gpus_taken) / gpus));
  };
  const double minimum_of_decode = std::min(options.min_decode, plan.decode) * decode_gpus;
  plan.prefill = std::min(plan.prefill, std::max(std::min(options.min_prefill, plan.prefill), room(minimum_of_decode, prefill_gpus)));
  plan.prefill = std::min(plan.prefill, room(0, prefill_gpus));
  plan.decode = std::min(options.max_decode, room(plan.prefill * prefill_gpus, decode_gpus));
  plan.minima_fit = plan.prefill >= options.min_prefill && plan.decode >= options.min_decode;
  plan.reasons.push_back({"gpu_budget",
                          fmt::format("prefill {} and decode {} would take {} GPUs; the budget of {} holds {} and {}", plan.wanted_prefill,
                                      plan.wanted_decode, total, budget, plan.prefill, plan.decode),
                          {{"gpus_wanted", total},
                           {"gpu_budget", budget},
                           {"prefill", static_cast<double>(plan.prefill)},
                           {"decode", static_cast<double>(plan.decode)}}});
}

}  // namespace

bool is_valid(const ClassicObservation& seen) {
  if (!is_amount(seen.requests) || seen.requests == 0) return seen.requests == 0;
  const bool lengths = is_amount(seen.isl) && is_amount(seen.osl) && seen.isl > 0 && seen.osl > 0;
  return lengths && is_amount(seen.ttft_s) && is_amount(seen.itl_s) && is_amount(seen.duration_s);
}

ClassicCorrection classic_correction(const perf::ClassicProfile& profile, const ClassicObservation& seen, double interval_s,
                                     const ClassicCorrection& before) {
  ClassicCorrection result = before;
  if (!is_valid(seen) || seen.requests == 0 || !(interval_s > 0)) return result;
  const double ttft = profile.ttft_s(seen.isl);
  if (seen.ttft_s > 0 && ttft > 0) result.prefill = seen.ttft_s / ttft;
  if (seen.decode_instances == 0) return result;
  const double concurrency = seen.requests / seen.decode_instances * seen.duration_s / interval_s;
  const double itl = profile.itl_s(concurrency, seen.isl + seen.osl / 2);
  if (seen.itl_s > 0 && itl > 0) result.decode = seen.itl_s / itl;
  return result;
}

double classic_prefill_exact(const perf::ClassicProfile& profile, const ClassicTraffic& next, double correction,
                              const ClassicPlanOptions& options, std::vector<Reason>& reasons) {
  const double load = next.requests * next.isl / options.interval_s * std::min(1.0, correction);
  const double throughput = profile.prefill_throughput_per_gpu(next.isl);
  const double wanted = load / throughput / options.gpus_per_prefill;
  reasons.push_back({"classic_prefill",
                     fmt::format("{:.4g} prompt tokens/s (correction {:.3g}) at {:.4g} a GPU, {} GPUs each: {:.3g} instances", load,
                                 correction, throughput,
                                 options.gpus_per_prefill, wanted),
                     {{"requests", next.requests},
                      {"isl", next.isl},
                      {"tokens_per_s", load},
                      {"p_corr", correction},
                      {"throughput_per_gpu", throughput},
                      {"gpus_per_instance", static_cast<double>(options.gpus_per_prefill)},
                      {"instances", wanted}}});
  return wanted;
}

double classic_decode_exact(const perf::ClassicProfile& profile, const ClassicTraffic& next, double correction,
                             const ClassicPlanOptions& options, std::vector<Reason>& reasons) {
  const double target = correction > 0 ? options.itl_s / correction : options.itl_s;
  const perf::DecodeOperatingPoint best = profile.best_decode(target, half(next));
  const double load = next.requests * next.osl / options.interval_s;
  const double wanted = load / best.throughput_per_gpu / options.gpus_per_decode;
  reasons.push_back({"classic_decode",
                     fmt::format("{:.4g} tokens/s under an ITL of {:.4g} s (correction {:.3g}) at {:.4g} a GPU, {} GPUs each: "
                                 "{:.3g} instances{}",
                                 load,
                                 target, correction, best.throughput_per_gpu, options.gpus_per_decode, wanted,
                                 best.holds_target ? "" : "; even one sequence is slower than the target"),
                     {{"requests", next.requests},
                      {"isl", next.isl},
                      {"osl", next.osl},
                      {"tokens_per_s", load},
                      {"itl_target_s", target},
                      {"d_corr", correction},
                      {"throughput_per_gpu", best.throughput_per_gpu},
                      {"kv_usage", best.kv_usage},
                      {"gpus_per_instance", static_cast<double>(options.gpus_per_decode)},
                      {"instances", wanted}}});
  return wanted;
}

ClassicPlan classic_plan(const perf::ClassicProfile& profile, const ClassicTraffic& next, const ClassicCorrection& correction,
                         const ClassicPlanOptions& options) {
  ClassicPlan plan;
  const double prefill = classic_prefill_exact(profile, next, correction.prefill, options, plan.reasons);
  plan.prefill = plan.wanted_prefill = instances(prefill, options.min_prefill, options.max_prefill);
  const double decode = classic_decode_exact(profile, next, correction.decode, options, plan.reasons);
  plan.decode = plan.wanted_decode = instances(decode, options.min_decode, options.max_decode);
  if (options.gpu_budget) fit_budget(plan, options);
  return plan;
}

}  // namespace flexpert::scaling
