#include "scaling/predictive.h"

#include <algorithm>
#include <cmath>

#include "scaling/policy_metrics.h"

namespace flexpert::scaling {
namespace {

constexpr double kMostWanted = 1e6;
constexpr double kDecay = 0.25;
constexpr double kExplore = 1.5;

std::uint32_t rounded_up(double exact) { return static_cast<std::uint32_t>(std::clamp(std::ceil(exact - 1e-9), 0.0, kMostWanted)); }

class PredictivePolicy final : public Policy {
 public:
  PredictivePolicy(const PredictiveOptions& options, double max_age_s) : options_(options), max_age_s_(max_age_s) {}
  [[nodiscard]] std::string_view kind() const override { return "predictive"; }

  Proposal propose(const PolicyInput& input) override {
    Proposal out;
    const auto rate = fresh(input.pool.traffic.requests_per_s, max_age_s_);
    if (!rate) {
      out.may_shrink = false;
      out.conditions.push_back(metric_missing("predictive", "requests_per_s", max_age_s_));
    }
    if (options_.requests_per_s_per_instance == 0 && rate) learn(input, *rate);
    if (!input.horizon) {
      out.may_shrink = false;
      out.conditions.push_back({"no_forecast", "predictive: nothing was observed yet that a forecast could go by", {}});
      return out;
    }
    const double upper = std::max(input.horizon->requests_per_s_upper, 0.0);
    const bool configured = options_.requests_per_s_per_instance > 0;
    const double capacity = configured ? options_.requests_per_s_per_instance : capacity_;
    if (capacity <= 0) {
      out.conditions.push_back({"capacity_unknown", "predictive: no instance has served anything yet that its capacity could be learned from", {}});
      out.may_shrink = false;
      if (upper > 0 && input.current == 0) out.replicas = 1;
      return out;
    }
    const double exact = upper / (capacity * options_.utilisation);
    const bool tested = configured || queue_seen_;
    // The least positive load needs an instance: rounding must not turn it into none.
    out.replicas = std::max(rounded_up(tested ? exact : upper / (capacity * kExplore)), upper > 0 ? 1U : 0U);
    out.exact = exact;
    out.reasons.push_back({"predicted", fmt::format("{:.3g} requests/s are expected in {:.0f} s, {:.3g} an instance{}: {}", upper, input.horizon->horizon_s,
                                                    capacity, configured ? "" : tested ? " (learned)" : " (shown so far)", *out.replicas),
                           {{"requests_per_s_upper", upper}, {"horizon_s", input.horizon->horizon_s}, {"capacity", capacity},
                            {"utilisation", options_.utilisation}, {"wanted", *out.replicas}}});
    return out;
  }

  void save(StateWriter& writer) const override {
    writer.tag("predictive/1");
    writer.number(capacity_);
    writer.integer(queue_seen_ ? 1 : 0);
  }

  void restore(StateReader& reader) override {
    reader.tag("predictive/1");
    const double capacity = reader.number();
    const bool seen = reader.integer() != 0;
    if (!std::isfinite(capacity) || capacity < 0) reader.reject("the capacity of a predictive policy is not a positive number");
    capacity_ = reader.ok() ? capacity : 0;
    queue_seen_ = reader.ok() && seen;
  }

 private:
  void learn(const PolicyInput& input, double rate) {
    if (input.ready == 0 || rate <= 0) return;
    const double each = rate / input.ready;
    double queued = 0;
    double in_flight = 0;
    for (const PoolInstance& instance : input.pool.instances) {
      if (instance.state != InstanceState::kReady) continue;
      queued += instance.queued;
      in_flight += instance.in_flight;
    }
    queued += fresh(input.pool.traffic.queued, max_age_s_).value_or(0);
    if (const auto mean = fresh(input.pool.traffic.in_flight, max_age_s_)) in_flight = *mean;
    const bool queues = queued > std::max(in_flight / 2, static_cast<double>(input.ready));
    if (capacity_ == 0) {
      capacity_ = each;
    } else if (!queues) {
      capacity_ = std::max(capacity_, each);
    } else if (each < capacity_) {
      capacity_ += kDecay * (each - capacity_);
    }
    queue_seen_ = queue_seen_ || queues;
  }

  PredictiveOptions options_;
  double max_age_s_;
  double capacity_ = 0;      ///< requests/s of an instance; 0: not known
  bool queue_seen_ = false;
};

}  // namespace

std::unique_ptr<Policy> make_predictive_policy(const PredictiveOptions& options, double max_metric_age_s) {
  return std::make_unique<PredictivePolicy>(options, max_metric_age_s);
}

}  // namespace flexpert::scaling
