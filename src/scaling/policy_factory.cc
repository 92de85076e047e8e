#include "scaling/policy_factory.h"

#include "scaling/kpa.h"
#include "scaling/manual.h"
#include "scaling/policy_check.h"
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
  template <class Other>
  Result<std::unique_ptr<Policy>> operator()(const Other&) const {
    return fail(ErrorCode::kFailedPrecondition, "this kind of policy cannot be made yet");
  }
};

}  // namespace

Result<std::unique_ptr<Policy>> make_policy(const PolicyConfig& config, const PoolConfig& pool) {
  FLEXPERT_TRY(validate(config.options));
  return std::visit(Maker{pool}, config.options);
}

}  // namespace flexpert::scaling
