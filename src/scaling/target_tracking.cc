#include "scaling/target_tracking.h"

#include <algorithm>

#include "scaling/policy_metrics.h"
#include "scaling/target_tracking_count.h"
#include "scaling/target_tracking_rates.h"

namespace flexpert::scaling {
namespace {

Reason changed(std::string code, std::string_view by, std::uint32_t from, std::uint32_t to) {
  return {std::move(code), fmt::format("{}: {} -> {}", by, from, to), {{"from", from}, {"to", to}}};
}

class TargetTrackingPolicy final : public Policy {
 public:
  explicit TargetTrackingPolicy(const TargetTrackingOptions& options) : options_(options) {}
  [[nodiscard]] std::string_view kind() const override { return "target_tracking"; }

  Proposal propose(const PolicyInput& input) override {
    history_.see(input.unix_ms, input.current, options_);
    Proposal out;
    std::optional<MetricCount> top;
    const TargetMetric* metric = nullptr;
    double exact = 0;
    for (const TargetMetric& each : options_.metrics) {
      const auto count = count_for_metric(input, each, options_);
      if (!count) {
        out.may_shrink = false;
        out.conditions.push_back(metric_missing("target_tracking", each.name, options_.max_age_s));
        continue;
      }
      exact = std::max(exact, count->exact);
      if (top && count->replicas <= top->replicas) continue;
      top = count;
      metric = &each;
    }
    if (!top) return out;
    out.exact = exact;
    out.replicas = input.current;
    out.reasons.push_back({"target_tracking", fmt::format("{} {:.4g} against {:.4g} (ratio {:.3f}): {} of {}", metric->name, top->value, metric->target,
                                                          top->ratio, top->replicas, input.current),
                           {{"value", top->value}, {"target", metric->target}, {"ratio", top->ratio}, {"wanted", top->replicas}}});
    if (!out.may_shrink && top->replicas < input.current) return out;
    const std::uint32_t stabilised = history_.stabilise(input.unix_ms, input.current, top->replicas, options_);
    if (stabilised != top->replicas) out.reasons.push_back(changed("stabilisation_window", "recommendations in the window", top->replicas, stabilised));
    out.replicas = history_.limit(input.unix_ms, input.current, stabilised, options_);
    if (*out.replicas != stabilised) out.reasons.push_back(changed("rate_limited", "rate policies", stabilised, *out.replicas));
    return out;
  }

  void save(StateWriter& writer) const override {
    writer.tag("target_tracking/1");
    history_.save(writer);
  }
  void restore(StateReader& reader) override {
    reader.tag("target_tracking/1");
    history_.restore(reader);
  }

 private:
  TargetTrackingOptions options_;
  ScalingHistory history_;
};

}  // namespace

std::unique_ptr<Policy> make_target_tracking_policy(const TargetTrackingOptions& options) {
  return std::make_unique<TargetTrackingPolicy>(options);
}

}  // namespace flexpert::scaling
