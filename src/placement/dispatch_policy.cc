#include "placement/dispatch_policy.h"

namespace flexpert::placement {
namespace {

constexpr DispatchPolicy kAll[] = {DispatchPolicy::kStatic,      DispatchPolicy::kRandom,
                                   DispatchPolicy::kRoundRobin,  DispatchPolicy::kLeastLoaded,
                                   DispatchPolicy::kLeastActivatedExperts, DispatchPolicy::kLocalityFirst};

}  // namespace

const char* name_of(DispatchPolicy policy) {
  switch (policy) {
    case DispatchPolicy::kStatic: return "static";
    case DispatchPolicy::kRandom: return "random";
    case DispatchPolicy::kRoundRobin: return "round_robin";
    case DispatchPolicy::kLeastLoaded: return "least_loaded";
    case DispatchPolicy::kLeastActivatedExperts: return "least_activated_experts";
    case DispatchPolicy::kLocalityFirst: return "locality_first";
  }
  return "least_loaded";
}

Result<DispatchPolicy> parse_dispatch_policy(std::string_view name) {
  for (const DispatchPolicy policy : kAll)
    if (name == name_of(policy)) return policy;
  return fail(ErrorCode::kInvalidArgument,
              "unknown dispatch policy, use static, random, round_robin, least_loaded, least_activated_experts or locality_first: {}",
              std::string(name.substr(0, 100)));
}

}  // namespace flexpert::placement
