#include "scaling/policy_factory.h"

#include "scaling/kpa.h"
#include "scaling/manual.h"
#include "scaling/policy_check.h"
#include "scaling/predictive.h"
#include "scaling/schedule.h"
#include "scaling/sla_policy.h"
#include "scaling/target_tracking.h"
#include "scaling/thresholds.h"

namespace flexpert::scaling {
namespace {

struct Maker {
  const PoolConfig& pool;

  Result<std::unique_ptr<Policy>> operator()(const ManualOptions& options) const { return make_manual_policy(options); }
  Result<std::unique_ptr<Policy>> operator()(const ThresholdOptions& options) const { return make_thresholds_policy(options); }
  Result<std::unique_ptr<Policy>> operator()(const TargetTrackingOptions& options) const { return make_target_tracking_policy(options); }
  Result<std::unique_ptr<Policy>> operator()(const KpaOptions& options) const { return make_kpa_policy(options); }
  Result<std::unique_ptr<Policy>> operator()(const ScheduleOptions& options) const { return make_schedule_policy(options); }
  Result<std::unique_ptr<Policy>> operator()(const PredictiveOptions& options) const {
    return make_predictive_policy(options, pool.max_metric_age_s);
  }
  Result<std::unique_ptr<Policy>> operator()(const SlaOptions& options) const {
    return make_sla_policy(options, pool.role, pool.gpus_per_instance, pool.max_metric_age_s);
  }
};

}  // namespace

Result<std::unique_ptr<Policy>> make_policy(const PolicyConfig& config, const PoolConfig& pool) {
  FLEXPERT_TRY(validate(config.options));
  return std::visit(Maker{pool}, config.options);
}

}  // namespace flexpert::scaling
