#include "scaling/sla_engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "perf/engine_fit.h"
#include "perf/online_model.h"
#include "scaling/sla_traffic.h"

namespace flexpert::scaling {
namespace {

constexpr double kFullest = 0.95;         // whatever the options say
constexpr double kEmptiest = 0.1;         // targets that hold in emptier instances only cost too much: they are missed
constexpr double kOverloaded = 0.9;       // of saturation: latencies are those of the queue
constexpr double kMostExtrapolation = 2;  // times the load that an instance was seen to carry, without a known model

using Numbers = std::vector<std::pair<std::string, double>>;

/// What one instance carries, and how that came about.
struct Carried {
  double within_targets = 0;  ///< requests/s
  double saturation = 0;
  double used = 0;            ///< planned for
  bool reachable = true;      ///< false: the targets hold in nearly empty instances at most
  bool trusted = true;        ///< false: held down to near what was seen
};

class EnginePolicy final : public Policy {
 public:
  EnginePolicy(const SlaOptions& options, perf::EngineRole role, double max_age_s)
      : options_(options),
        role_(role),
        max_age_s_(max_age_s),
        learned_(options_.engine ? options_.engine->limits() : perf::EngineLimits{},
                 options_.engine ? std::optional(options_.engine->coefficients()) : std::nullopt),
        ttft_(options.correction),
        itl_(options.correction) {}

  [[nodiscard]] std::string_view kind() const override { return "sla"; }

  Proposal propose(const PolicyInput& input) override {
    if (const auto interval = settled_interval(input, max_age_s_)) observe(*interval);
    Proposal result;
    const auto demand = sla_demand(input, max_age_s_, result.conditions);
    if (!demand) {
      result.may_shrink = false;
      return result;
    }
    result.may_shrink = demand->may_shrink;
    result.conditions = demand->conditions;
    if (demand->horizon.requests_per_s_upper <= 0 && demand->next.requests_per_s_upper <= 0) {
      result.replicas = input.pool.limits.min;
      result.exact = 0;
      result.reasons.push_back({"sla_no_traffic", fmt::format("no requests are expected: the minimum of {}", input.pool.limits.min), {}});
      return result;
    }
    const auto model = current();
    if (!model) {
      result.may_shrink = false;
      result.conditions.push_back({"model_missing", "there is no engine model yet: nothing was served that it could be learned from", {}});
      return result;
    }
    size(*model, *demand, input, result);
    return result;
  }

  void save(StateWriter& writer) const override {
    writer.tag("sla-engine/1");
    learned_.save(writer);
    ttft_.save(writer);
    itl_.save(writer);
  }

  void restore(StateReader& reader) override {
    reader.tag("sla-engine/1");
    learned_.restore(reader);
    ttft_.restore(reader);
    itl_.restore(reader);
    if (!reader.ok()) *this = EnginePolicy(options_, role_, max_age_s_);
  }

 private:
  [[nodiscard]] std::optional<perf::EngineModel> current() const { return options_.learn ? learned_.model() : options_.engine; }

  void observe(const perf::IntervalMeans& seen) {
    if (options_.learn) learned_.observe(seen, role_);
    const auto model = current();
    if (!model) return;
    const perf::LoadPoint expected = model->at(seen.requests_per_s / seen.instances, {seen.isl, seen.osl}, role_, options_.percentile);
    if (!expected.stable || expected.utilisation > kOverloaded) return;
    if (seen.ttft_s && role_ != perf::EngineRole::kDecode) ttft_.observe(*seen.ttft_s, expected.mean_ttft_s);
    if (seen.itl_s && role_ != perf::EngineRole::kPrefill) itl_.observe(*seen.itl_s, expected.mean_itl_s);
  }

  [[nodiscard]] Carried carried(const perf::EngineModel& model, const TrafficForecast& load) const {
    perf::LatencyTargets targets;
    targets.percentile = options_.percentile;
    if (role_ != perf::EngineRole::kDecode) targets.ttft_s = options_.ttft_s / ttft_.factor();
    if (role_ != perf::EngineRole::kPrefill) targets.itl_s = options_.itl_s / itl_.factor();
    const perf::Workload workload{load.isl, load.osl};
    Carried result;
    result.saturation = model.saturation(workload, role_);
    result.within_targets = model.capacity(workload, targets, role_);
    const double least = kEmptiest * result.saturation;
    result.reachable = result.within_targets >= least;
    result.used = std::max(result.within_targets, least) * std::min(options_.utilisation, kFullest);
    if (!options_.engine && learned_.largest_rate() > 0) {
      const double trusted = kMostExtrapolation * learned_.largest_rate();
      result.trusted = result.used <= trusted;
      result.used = std::min(result.used, trusted);
    }
    return result;
  }

  [[nodiscard]] static double instances_for(double requests_per_s, const Carried& one) { return requests_per_s / one.used; }
  [[nodiscard]] static std::uint32_t whole(double instances) {
    return instances > 1 ? static_cast<std::uint32_t>(std::min(std::ceil(instances - 1e-9), 1e6)) : 1;
  }

  void size(const perf::EngineModel& model, const SlaDemand& demand, const PolicyInput& input, Proposal& result) const {
    const Carried later = carried(model, demand.horizon);
    const bool alike = demand.next.isl == demand.horizon.isl && demand.next.osl == demand.horizon.osl;
    const Carried soon = alike ? later : carried(model, demand.next);
    if (later.saturation <= 0 || soon.saturation <= 0) {
      result.may_shrink = false;
      result.conditions.push_back({"request_too_large",
                                   fmt::format("requests of {:.0f} and {:.0f} tokens do not fit an instance's KV cache of {:.0f}",
                                               demand.horizon.isl,
                                               demand.horizon.osl, model.limits().kv_tokens),
                                   {{"isl", demand.horizon.isl}, {"osl", demand.horizon.osl}, {"kv_tokens", model.limits().kv_tokens}}});
      return;
    }
    const double at_horizon = instances_for(demand.horizon.requests_per_s_upper, later);
    const double at_next = instances_for(demand.next.requests_per_s_upper, soon);
    const std::uint32_t floor = std::min(whole(at_next), input.current);
    result.replicas = std::max(whole(at_horizon), floor);
    result.exact = std::max(at_horizon, std::min(at_next, static_cast<double>(input.current)));
    Numbers numbers = {{"requests_per_s", demand.horizon.requests_per_s_upper},
                       {"horizon_s", demand.horizon.horizon_s},
                       {"isl", demand.horizon.isl},
                       {"osl", demand.horizon.osl},
                       {"capacity_per_instance", later.within_targets},
                       {"saturation_per_instance", later.saturation},
                       {"planned_per_instance", later.used},
                       {"utilisation", std::min(options_.utilisation, kFullest)},
                       {"ttft_factor", ttft_.factor()},
                       {"itl_factor", itl_.factor()},
                       {"instances", at_horizon}};
    result.reasons.push_back({"sla_forecast",
                              fmt::format("{:.4g} requests/s in {:.0f} s (ISL {:.0f}, OSL {:.0f}) at {:.4g} an instance "
                                          "({:.4g} within the targets, factors "
                                          "{:.3g} and {:.3g}): {:.3g} instances",
                                          demand.horizon.requests_per_s_upper, demand.horizon.horizon_s, demand.horizon.isl,
                                              demand.horizon.osl, later.used,
                                          later.within_targets, ttft_.factor(), itl_.factor(), at_horizon),
                              std::move(numbers)});
    if (floor > whole(at_horizon)) {
      result.reasons.push_back({"sla_next_interval",
                                fmt::format("the next interval needs {:.3g} instances for {:.4g} requests/s", at_next,
                                            demand.next.requests_per_s_upper),
                                {{"requests_per_s", demand.next.requests_per_s_upper}, {"instances", at_next}}});
    }
    if (!later.reachable) {
      result.conditions.push_back({"target_unreachable",
                                   fmt::format("TTFT {} s and ITL {} s for {:.3g} of requests hold up to {:.4g} requests/s an instance "
                                               "only, {:.3g} of its "
                                               "saturation; sized for {:.3g} of it, and missed",
                                               options_.ttft_s, options_.itl_s, options_.percentile, later.within_targets,
                                               later.within_targets / later.saturation, kEmptiest),
                                   {{"ttft_s", options_.ttft_s}, {"itl_s", options_.itl_s}, {"percentile", options_.percentile}}});
    }
    if (!later.trusted) {
      result.reasons.push_back({"sla_extrapolation",
                                fmt::format("the model is learned only: an instance was seen to serve {:.4g} requests/s, more than "
                                            "{:.4g} is not trusted",
                                            learned_.largest_rate(), kMostExtrapolation * learned_.largest_rate()),
                                {{"largest_rate", learned_.largest_rate()}}});
    }
  }

  SlaOptions options_;
  perf::EngineRole role_;
  double max_age_s_;
  perf::OnlineEngineModel learned_;
  perf::Correction ttft_;
  perf::Correction itl_;
};

}  // namespace

Result<std::unique_ptr<Policy>> make_sla_engine_policy(SlaOptions options, PoolRole role, double max_metric_age_s) {
  if (!options.engine && options.profile != nullptr) {
    auto fitted = perf::fit_engine(options.profile->samples(), engine_role(role));
    if (!fitted) return fail(fitted.error().with_context("profile"));
    options.engine = *fitted;
  }
  return std::make_unique<EnginePolicy>(options, engine_role(role), max_metric_age_s);
}

}  // namespace flexpert::scaling
