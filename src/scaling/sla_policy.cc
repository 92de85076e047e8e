#include "scaling/sla_policy.h"

#include "scaling/policy_check.h"
#include "scaling/sla_engine.h"

namespace flexpert::scaling {

Result<std::unique_ptr<Policy>> make_sla_policy(const SlaOptions& options, PoolRole role, std::uint32_t gpus_per_instance,
                                                double max_metric_age_s) {
  FLEXPERT_TRY(validate(PolicyOptions(options)));
  if (role == PoolRole::kGateway) {
    return fail(ErrorCode::kInvalidArgument, "role: a gateway pool has no engines, sla cannot size it; use target_tracking or kpa");
  }
  if (options.model == SlaOptions::Model::kClassic) return make_sla_classic_policy(options, role, gpus_per_instance, max_metric_age_s);
  return make_sla_engine_policy(options, role, max_metric_age_s);
}

}  // namespace flexpert::scaling
