#include "scaling/default_policies.h"

namespace flexpert::scaling {

std::vector<PolicyConfig> default_policies(PoolRole role) {
  if (role != PoolRole::kGateway) return {{"sla", CombineRule::kMax, SlaOptions{}}};
  TargetTrackingOptions tracking;
  tracking.metrics = {{"cpu", TargetMetric::Kind::kPerInstance, 0.7}, {"connections", TargetMetric::Kind::kPerInstance, 1000}};
  return {{"target_tracking", CombineRule::kMax, tracking}};
}

}  // namespace flexpert::scaling
