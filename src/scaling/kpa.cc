#include "scaling/kpa.h"

#include <algorithm>

#include "scaling/kpa_decision.h"
#include "scaling/kpa_window.h"
#include "scaling/policy_metrics.h"

namespace flexpert::scaling {
namespace {

std::optional<MetricSample> sample_of(const PoolObservation& pool, const std::string& metric, double max_age_s) {
  const auto value = pool_metric(pool, metric, max_age_s);
  if (!value) return std::nullopt;
  const auto own = pool.metrics.find(metric);
  const auto& in_flight = pool.traffic.in_flight ? pool.traffic.in_flight : pool.traffic.queued;
  const auto& field = metric == "requests_per_s" ? pool.traffic.requests_per_s : in_flight;
  const double age = own != pool.metrics.end() ? own->second.age_s : field ? field->age_s : 0;
  return MetricSample{*value, std::max(age, 0.0)};
}

class KpaPolicy final : public Policy {
 public:
  explicit KpaPolicy(const KpaOptions& options) : options_(options) {
    spec_.target_value = options.target * options.utilisation;
    spec_.total_value = options.target;
    spec_.max_scale_up_rate = options.max_scale_up_rate;
    spec_.max_scale_down_rate = options.max_scale_down_rate;
    spec_.panic_threshold = options.panic_threshold_percentage / 100;
    spec_.stable_window_s = options.stable_window_s;
    spec_.target_burst_capacity = options.target_burst_capacity;
    spec_.scale_down_delay_s = options.scale_down_delay_s;
    spec_.activation_scale = options.activation_scale;
  }
  [[nodiscard]] std::string_view kind() const override { return "kpa"; }

  Proposal propose(const PolicyInput& input) override {
    if (!started_) state_ = KpaState::started(input.unix_ms, input.ready);
    started_ = true;
    if (const auto sample = sample_of(input.pool, options_.metric, options_.max_age_s))
      window_.add(input.unix_ms - static_cast<std::int64_t>(sample->age_s * 1000), sample->value, 2 * input.interval_s);
    // Samples may be as old as max_age_s and still be the newest there are.
    const std::int64_t end = newest_in_time(input);
    window_.expire(end, options_.stable_window_s);
    const auto stable = window_.mean(end, options_.stable_window_s);
    Proposal out;
    if (!stable) {
      out.may_shrink = false;
      out.conditions.push_back(metric_missing("kpa", options_.metric, options_.max_age_s));
      return out;
    }
    const double panic = window_.mean(end, options_.stable_window_s * options_.panic_window_percentage / 100).value_or(*stable);
    const KpaDecision decision = decide_kpa(spec_, state_, input.unix_ms, input.ready, *stable, panic);
    const std::uint32_t wanted = held_over_zero(input, decision.wanted);
    out.replicas = wanted;
    if (!decision.panic) out.exact = *stable / spec_.target_value;
    const char* code = decision.panic ? "panic" : wanted != decision.wanted ? "scale_to_zero_grace" : "stable";
    out.reasons.push_back({code, fmt::format("{} {:.2f} (stable), {:.2f} (panic), {} aimed at an instance: {}{}", options_.metric, *stable, panic,
                                             spec_.target_value, wanted, decision.panic ? ", in panic" : ""),
                           {{"stable", *stable}, {"panic", panic}, {"target", spec_.target_value}, {"ready", input.ready}, {"wanted", wanted},
                            {"excess_burst_capacity", decision.excess_burst_capacity}}});
    if (fresh_now(input)) return out;
    out.may_shrink = false;
    out.conditions.push_back(metric_missing("kpa", options_.metric, options_.max_age_s));
    return out;
  }

  void save(StateWriter& writer) const override {
    writer.tag("kpa/1");
    writer.integer(started_ ? 1 : 0);
    writer.integer(zero_since_unix_ms_);
    writer.integer(newest_unix_ms_);
    state_.save(writer);
    window_.save(writer);
  }

  void restore(StateReader& reader) override {
    reader.tag("kpa/1");
    const bool started = reader.integer() != 0;
    const std::int64_t zero_since = reader.integer();
    const std::int64_t newest = reader.integer();
    KpaState state;
    KpaWindow window;
    state.restore(reader);
    window.restore(reader);
    const bool ok = reader.ok();
    started_ = ok && started;
    zero_since_unix_ms_ = ok ? zero_since : 0;
    newest_unix_ms_ = ok ? newest : 0;
    state_ = ok ? state : KpaState{};
    window_ = ok ? window : KpaWindow{};
  }

 private:
  [[nodiscard]] bool fresh_now(const PolicyInput& input) const { return pool_metric(input.pool, options_.metric, options_.max_age_s).has_value(); }

  /// The windows end at the newest sample, or at now where none came: time without samples runs out of the windows.
  std::int64_t newest_in_time(const PolicyInput& input) {
    const auto sample = sample_of(input.pool, options_.metric, options_.max_age_s);
    newest_unix_ms_ = sample ? std::max(newest_unix_ms_, input.unix_ms - static_cast<std::int64_t>(sample->age_s * 1000)) : input.unix_ms;
    return newest_unix_ms_;
  }

  std::uint32_t held_over_zero(const PolicyInput& input, std::uint32_t wanted) {
    if (wanted > 0) {
      zero_since_unix_ms_ = 0;
      return wanted;
    }
    if (zero_since_unix_ms_ == 0) zero_since_unix_ms_ = input.unix_ms;
    const bool over = static_cast<double>(input.unix_ms - zero_since_unix_ms_) >= options_.scale_to_zero_grace_s * 1000;
    return over ? 0 : std::min<std::uint32_t>(input.current, 1);
  }

  KpaOptions options_;
  KpaSpec spec_;
  KpaState state_;
  KpaWindow window_;
  bool started_ = false;
  std::int64_t zero_since_unix_ms_ = 0;  ///< 0: something is wanted
  std::int64_t newest_unix_ms_ = 0;
};

}  // namespace

std::unique_ptr<Policy> make_kpa_policy(const KpaOptions& options) { return std::make_unique<KpaPolicy>(options); }

}  // namespace flexpert::scaling
