#include "scaling/thresholds.h"

#include <algorithm>

#include "scaling/policy_metrics.h"

namespace flexpert::scaling {
namespace {

class ThresholdsPolicy final : public Policy {
 public:
  explicit ThresholdsPolicy(const ThresholdOptions& options) : options_(options) {}
  [[nodiscard]] std::string_view kind() const override { return "thresholds"; }

  Proposal propose(const PolicyInput& input) override {
    if (seen_ && input.current != count_) changed_unix_ms_ = input.unix_ms;
    count_ = input.current;
    seen_ = true;

    Proposal out;
    const auto utilisation = mean_metric(input.pool, options_.metric, options_.max_age_s);
    if (input.ready == 0 || !utilisation) {
      out.may_shrink = input.current == 0;
      if (input.ready != 0) out.conditions.push_back(metric_missing("thresholds", options_.metric, options_.max_age_s));
      return out;
    }
    std::uint32_t wanted = input.current;
    if (*utilisation > options_.high) wanted = std::max(input.current, input.ready * 2);
    if (*utilisation < options_.low) wanted = std::min(input.current, (input.ready + 1) / 2);
    const bool cooling = changed_unix_ms_ != 0 && static_cast<double>(input.unix_ms - changed_unix_ms_) < options_.cooldown_s * 1000;
    const std::vector<std::pair<std::string, double>> numbers{
        {"utilisation", *utilisation}, {"high", options_.high}, {"low", options_.low}, {"current", input.current}, {"wanted", wanted}};
    if (wanted != input.current && cooling) {
      out.reasons.push_back({"cooldown", fmt::format("{} {:.3f} asks for {}, but the count changed less than {} s ago", options_.metric, *utilisation,
                                                     wanted, options_.cooldown_s), numbers});
      wanted = input.current;
    } else {
      const char* code = wanted > input.current ? "over_high" : wanted < input.current ? "under_low" : "within_thresholds";
      out.reasons.push_back({code, fmt::format("{} {:.3f} (low {}, high {}): {} -> {}", options_.metric, *utilisation, options_.low, options_.high,
                                               input.current, wanted), numbers});
    }
    out.replicas = wanted;
    out.exact = *utilisation * input.ready / options_.high;
    return out;
  }

  void save(StateWriter& writer) const override {
    writer.tag("thresholds/1");
    writer.integer(changed_unix_ms_);
    writer.integer(count_);
    writer.integer(seen_ ? 1 : 0);
  }

  void restore(StateReader& reader) override {
    reader.tag("thresholds/1");
    const std::int64_t changed = reader.integer();
    const std::int64_t count = reader.integer();
    const std::int64_t seen = reader.integer();
    if (count < 0 || count > UINT32_MAX) reader.reject("the count of a thresholds policy is out of range");
    const bool ok = reader.ok();
    changed_unix_ms_ = ok ? changed : 0;
    count_ = ok ? static_cast<std::uint32_t>(count) : 0;
    seen_ = ok && seen != 0;
  }

 private:
  ThresholdOptions options_;
  std::int64_t changed_unix_ms_ = 0;  ///< 0: no change seen
  std::uint32_t count_ = 0;
  bool seen_ = false;
};

}  // namespace

std::unique_ptr<Policy> make_thresholds_policy(const ThresholdOptions& options) { return std::make_unique<ThresholdsPolicy>(options); }

}  // namespace flexpert::scaling
