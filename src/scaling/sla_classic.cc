#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "scaling/classic_plan.h"
#include "scaling/policy_metrics.h"
#include "scaling/sla_engine.h"
#include "scaling/sla_traffic.h"

namespace flexpert::scaling {
namespace {

class ClassicPolicy final : public Policy {
 public:
  ClassicPolicy(const SlaOptions& options, PoolRole role, std::uint32_t gpus_per_instance, double max_age_s)
      : options_(options),
        role_(engine_role(role)),
        gpus_(std::max(1U, gpus_per_instance)),
        max_age_s_(max_age_s),
        prefill_(options.correction),
        decode_(options.correction) {}

  [[nodiscard]] std::string_view kind() const override { return "sla"; }

  Proposal propose(const PolicyInput& input) override {
    if (const auto interval = settled_interval(input, max_age_s_))
      observe(*interval, fresh(input.pool.traffic.duration_s, max_age_s_), input.interval_s);
    Proposal result;
    const auto demand = sla_demand(input, max_age_s_, result.conditions);
    if (!demand) {
      result.may_shrink = false;
      return result;
    }
    result.may_shrink = demand->may_shrink;
    result.conditions = demand->conditions;
    if (demand->horizon.requests_per_s <= 0 && demand->next.requests_per_s <= 0) {
      result.replicas = input.pool.limits.min;
      result.exact = 0;
      result.reasons.push_back({"sla_no_traffic", fmt::format("no requests are expected: the minimum of {}", input.pool.limits.min), {}});
      return result;
    }
    std::vector<Reason> ignored;
    const double later = instances(demand->horizon, input.interval_s, result.reasons), soon = instances(demand->next, input.interval_s,
        ignored);
    const std::uint32_t floor = std::min(whole(soon), input.current);
    result.replicas = std::max(whole(later), floor);
    result.exact = std::max(later, std::min(soon, static_cast<double>(input.current)));
    if (floor > whole(later)) {
      result.reasons.push_back({"sla_next_interval", fmt::format("the next interval needs {:.3g} instances", soon), {{"instances", soon}}});
    }
    return result;
  }

  void save(StateWriter& writer) const override {
    writer.tag("sla-classic/1");
    prefill_.save(writer);
    decode_.save(writer);
  }

  void restore(StateReader& reader) override {
    reader.tag("sla-classic/1");
    prefill_.restore(reader);
    decode_.restore(reader);
    if (!reader.ok()) prefill_ = decode_ = perf::Correction(options_.correction);
  }

 private:
  [[nodiscard]] static std::uint32_t whole(double instances) {
    return instances > 1 ? static_cast<std::uint32_t>(std::min(std::ceil(instances), 1e6)) : 1;
  }

  /// The request's duration as it was measured, or what TTFT and ITL make of it.
  void observe(const perf::IntervalMeans& seen, std::optional<double> duration_s, double interval_s) {
    const ClassicObservation observation{.requests = seen.requests_per_s * interval_s,
                                         .isl = seen.isl,
                                         .osl = seen.osl,
                                         .ttft_s = seen.ttft_s.value_or(0),
                                         .itl_s = seen.itl_s.value_or(0),
                                         .duration_s = duration_s.value_or(seen.ttft_s.value_or(0) + seen.itl_s.value_or(0) * seen.osl),
                                         .prefill_instances = static_cast<std::uint32_t>(seen.instances),
                                         .decode_instances = static_cast<std::uint32_t>(seen.instances)};
    const ClassicCorrection ratio = classic_correction(*options_.profile, observation, interval_s, {0, 0});
    if (role_ != perf::EngineRole::kDecode) prefill_.observe(ratio.prefill, 1);
    if (role_ != perf::EngineRole::kPrefill) decode_.observe(ratio.decode, 1);
  }

  [[nodiscard]] double instances(const TrafficForecast& load, double interval_s, std::vector<Reason>& reasons) const {
    ClassicPlanOptions options;
    options.ttft_s = options_.ttft_s;
    options.itl_s = options_.itl_s;
    options.interval_s = interval_s;
    options.gpus_per_prefill = options.gpus_per_decode = gpus_;
    const ClassicTraffic next{load.requests_per_s * interval_s, load.isl, load.osl};
    double wanted = 0;
    if (role_ != perf::EngineRole::kDecode) wanted += classic_prefill_exact(*options_.profile, next, prefill_.factor(), options, reasons);
    if (role_ != perf::EngineRole::kPrefill) wanted += classic_decode_exact(*options_.profile, next, decode_.factor(), options, reasons);
    return std::isfinite(wanted) ? std::max(0.0, wanted) : 1e6;
  }

  SlaOptions options_;
  perf::EngineRole role_;
  std::uint32_t gpus_;
  double max_age_s_;
  perf::Correction prefill_;
  perf::Correction decode_;
};

}  // namespace

std::unique_ptr<Policy> make_sla_classic_policy(const SlaOptions& options, PoolRole role, std::uint32_t gpus_per_instance,
                                                double max_metric_age_s) {
  return std::make_unique<ClassicPolicy>(options, role, gpus_per_instance, max_metric_age_s);
}

}  // namespace flexpert::scaling
