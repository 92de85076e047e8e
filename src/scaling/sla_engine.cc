#include "scaling/sla_engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "perf/engine_fit.h"
#include "perf/online_model.h"
#include "scaling/sla_evidence.h"
#include "scaling/sla_traffic.h"

namespace flexpert::scaling {
namespace {

constexpr double kFullest = 0.95;         // whatever the options say
constexpr double kEmptiest = 0.1;         // targets that hold in emptier instances only cost too much: they are missed
constexpr double kOverloaded = 0.9;       // of saturation: latencies are those of the queue
constexpr double kDoubt = 2;              // times the relative error that a learned model typically makes
constexpr double kMostSpared = 0.2;       // of the instances, for that doubt
constexpr double kMostMissed = 0.05;
constexpr int kPaceSteps = 4;             // each halves what is left of the distance, or better
constexpr double kPileUpGrowth = 0.25;    // of the pool, where requests pile up; without a model it doubles

using Numbers = std::vector<std::pair<std::string, double>>;

/// What one instance carries, and how that came about.
struct Carried {
  double within_targets = 0;  ///< requests/s
  double saturation = 0;
  double used = 0;            ///< planned for
  double by_model = 0;        ///< what a learned model would plan for
  bool reachable = true;      ///< false: the targets hold in nearly empty instances at most
  double seen = 0;            ///< that an instance carried; 0: not known, or a known model makes it unimportant
  double broken = 0;          ///< at which requests piled up, where that is what counts
  bool trusted = true;        ///< false: the model would allow more than was seen to hold, or knows too little
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
        itl_(options.correction),
        evidence_(role) {}

  [[nodiscard]] std::string_view kind() const override { return "sla"; }

  Proposal propose(const PolicyInput& input) override {
    if (const auto interval = settled_interval(input, max_age_s_)) observe(*interval);
    watch_queue(input);
    Proposal result = from_model(input);
    if (evidence_.piles_up()) grow_anyway(input, result);
    return result;
  }

  void save(StateWriter& writer) const override {
    writer.tag("sla-engine/2");
    learned_.save(writer);
    ttft_.save(writer);
    itl_.save(writer);
    evidence_.save(writer);
  }

  void restore(StateReader& reader) override {
    reader.tag("sla-engine/2");
    learned_.restore(reader);
    ttft_.restore(reader);
    itl_.restore(reader);
    evidence_.restore(reader);
    if (!reader.ok()) *this = EnginePolicy(options_, role_, max_age_s_);
  }

 private:
  [[nodiscard]] Proposal from_model(const PolicyInput& input) const {
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

  [[nodiscard]] std::optional<perf::EngineModel> current() const { return options_.learn ? learned_.model() : options_.engine; }

  void observe(const perf::IntervalMeans& seen) {
    if (options_.learn) learned_.observe(seen, role_);
    const auto model = current();
    if (!model) return;
    evidence_.settled(seen, held(seen), *model);
    if (!options_.engine && evidence_.young()) return;
    correct(seen, *model);
  }

  [[nodiscard]] bool held(const perf::IntervalMeans& seen) const {
    if (!seen.ttft_s && !seen.itl_s) return false;
    if (role_ != perf::EngineRole::kDecode && seen.ttft_s && *seen.ttft_s > options_.ttft_s) return false;
    return role_ == perf::EngineRole::kPrefill || !seen.itl_s || *seen.itl_s <= options_.itl_s;
  }

  /// An engine that takes `pace` times as long for everything does at r requests/s what the model does at r * pace, `pace` times
  /// as slowly. The pace is what explains the ITL (TTFT where nothing is decoded); TTFT's factor is what is left then.
  void correct(const perf::IntervalMeans& seen, const perf::EngineModel& model) {
    const bool prefill = role_ == perf::EngineRole::kPrefill;
    const double rate = seen.requests_per_s / seen.instances;
    const perf::Workload workload{seen.isl, seen.osl};
    const double most = kOverloaded * model.saturation(workload, role_) / rate;
    double pace = (prefill ? ttft_ : itl_).factor();
    if (!(pace < most)) pace = most;
    perf::LoadPoint expected = model.at(rate * pace, workload, role_, options_.percentile);
    const std::optional<double> observed = prefill ? seen.ttft_s : seen.itl_s;
    if (observed && *observed > 0) {
      for (int i = 0; i < kPaceSteps; ++i) {
        const double latency = prefill ? expected.mean_ttft_s : expected.mean_itl_s;
        if (!(latency > 0)) return;
        pace = std::min(most, std::sqrt(pace * *observed / latency));
        expected = model.at(rate * pace, workload, role_, options_.percentile);
      }
    }
    if (pace >= most) return;
    if (prefill) {
      ttft_.observe(pace, 1);
      return;
    }
    if (observed && *observed > 0) itl_.observe(pace, 1);
    if (seen.ttft_s && role_ != perf::EngineRole::kDecode) ttft_.observe(*seen.ttft_s, pace * expected.mean_ttft_s);
  }

  [[nodiscard]] double pace() const { return role_ == perf::EngineRole::kPrefill ? ttft_.factor() : itl_.factor(); }
  [[nodiscard]] double ttft_factor() const { return role_ == perf::EngineRole::kPrefill ? pace() : pace() * ttft_.factor(); }

  void watch_queue(const PolicyInput& input) {
    const auto load = queueing_interval(input, max_age_s_);
    if (!load) {
      evidence_.no_queue();
      return;
    }
    const auto model = current();
    evidence_.queue(load->queued, input.interval_s, load->means, input.ready == input.current, std::min(options_.utilisation, kFullest),
                    model ? &*model : nullptr);
  }

  void grow_anyway(const PolicyInput& input, Proposal& result) const {
    const auto more = input.current + (current() ? whole(kPileUpGrowth * input.current) : input.current);
    result.may_shrink = false;
    result.replicas = std::max(more, result.replicas.value_or(0));
    result.exact = std::max(static_cast<double>(more), result.exact.value_or(0));
    result.reasons.push_back({"sla_pile_up",
                              fmt::format("requests pile up although all {} instances are ready: {} at least", input.current, more),
                              {{"instances", static_cast<double>(more)}}});
  }

  [[nodiscard]] Carried carried(const perf::EngineModel& model, const TrafficForecast& load) const {
    perf::LatencyTargets targets;
    targets.percentile = options_.percentile;
    if (role_ != perf::EngineRole::kDecode) targets.ttft_s = options_.ttft_s / ttft_factor();
    if (role_ != perf::EngineRole::kPrefill) targets.itl_s = options_.itl_s / itl_.factor();
    const perf::Workload workload{load.isl, load.osl};
    const double slower = std::max(1.0, pace()), utilisation = std::min(options_.utilisation, kFullest);
    Carried result;
    result.saturation = model.saturation(workload, role_) / slower;
    result.within_targets = model.capacity(workload, targets, role_) / slower;
    const double least = kEmptiest * result.saturation;
    result.reachable = result.within_targets >= least;
    result.used = std::max(result.within_targets, least) * utilisation;
    if (!options_.engine) {
      result.by_model = result.used;
      result.seen = evidence_.carried(model, workload);
      result.used = result.seen > 0 ? evidence_.trusted(result.used, model, workload) : std::min(result.used, learned_.largest_rate());
      result.trusted = result.used >= result.by_model && !evidence_.young();
    }
    const double broken = evidence_.broken(model, workload);
    if (utilisation * broken < result.used) {
      result.broken = broken;
      result.used = utilisation * broken;
    }
    return result;
  }

  /// A learned model is as wrong as it lately was: what leaves has to be spared by a worse one, too, and what comes needed by a
  /// better one.
  [[nodiscard]] double beyond_doubt(double instances, std::uint32_t current) const {
    if (options_.engine) return instances;
    const double error = learned_.typical_error(), present = current;
    if (instances > present) return instances > present * (1 + std::min(error, kMostMissed)) ? instances : present;
    return std::min(present, instances * (1 + std::min(kDoubt * error, kMostSpared)));
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
    const double at_horizon = beyond_doubt(instances_for(demand.horizon.requests_per_s_upper, later), input.current);
    const double at_next = instances_for(demand.next.requests_per_s_upper, soon);
    const std::uint32_t floor = std::min(whole(at_next), input.current);
    result.replicas = std::max(whole(at_horizon), floor);
    result.exact = std::max(at_horizon, std::min(at_next, static_cast<double>(input.current)));
    if (!later.trusted) {
      // What is not known to be needed is started a doubling at a time.
      const std::uint32_t doubled = 2 * std::max(1U, input.ready);
      const std::uint32_t by_model = whole(demand.horizon.requests_per_s_upper / later.by_model);
      const std::uint32_t known = evidence_.young() ? doubled : std::max(doubled, by_model);
      const std::uint32_t most = std::max(known, input.current);
      result.replicas = std::min(*result.replicas, most);
      result.exact = std::min(*result.exact, static_cast<double>(most));
      result.may_shrink &= !evidence_.young();
    }
    Numbers numbers = {{"requests_per_s", demand.horizon.requests_per_s_upper},
                       {"horizon_s", demand.horizon.horizon_s},
                       {"isl", demand.horizon.isl},
                       {"osl", demand.horizon.osl},
                       {"capacity_per_instance", later.within_targets},
                       {"saturation_per_instance", later.saturation},
                       {"planned_per_instance", later.used},
                       {"utilisation", std::min(options_.utilisation, kFullest)},
                       {"ttft_factor", ttft_factor()},
                       {"itl_factor", itl_.factor()},
                       {"instances", at_horizon}};
    result.reasons.push_back({"sla_forecast",
                              fmt::format("{:.4g} requests/s in {:.0f} s (ISL {:.0f}, OSL {:.0f}) at {:.4g} an instance "
                                          "({:.4g} within the targets, factors "
                                          "{:.3g} and {:.3g}): {:.3g} instances",
                                          demand.horizon.requests_per_s_upper, demand.horizon.horizon_s, demand.horizon.isl,
                                              demand.horizon.osl, later.used,
                                          later.within_targets, ttft_factor(), itl_.factor(), at_horizon),
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
    if (later.broken > 0) {
      result.reasons.push_back({"sla_pile_up",
                                fmt::format("requests piled up at {:.4g} requests/s an instance lately", later.broken),
                                {{"requests_per_s", later.broken}}});
    }
    if (!later.trusted) {
      result.reasons.push_back({"sla_extrapolation",
                                fmt::format("the model is learned only{}: an instance was seen to carry {:.4g} requests/s, {:.4g} is "
                                            "planned for instead of {:.4g}",
                                            evidence_.young() ? " and young" : "", later.seen, later.used, later.by_model),
                                {{"largest_rate", later.seen}, {"by_model", later.by_model}}});
    }
  }

  SlaOptions options_;
  perf::EngineRole role_;
  double max_age_s_;
  perf::OnlineEngineModel learned_;
  perf::Correction ttft_;
  perf::Correction itl_;
  LoadEvidence evidence_;
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
