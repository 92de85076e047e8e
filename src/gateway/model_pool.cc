#include "gateway/model_pool.h"

#include <array>
#include <string_view>
#include <utility>

namespace flexpert::gateway {
namespace {

using routing::PickPolicy;

constexpr std::array<std::pair<std::string_view, PickPolicy>, 6> kPolicies = {{{"round_robin", PickPolicy::kRoundRobin},
                                                                               {"random", PickPolicy::kRandom},
                                                                               {"power_of_two", PickPolicy::kPowerOfTwo},
                                                                               {"least_load", PickPolicy::kLeastLoad},
                                                                               {"prefix_hash", PickPolicy::kPrefixHash},
                                                                               {"session", PickPolicy::kSession}}};

}  // namespace

routing::PickOptions pick_options(const config::RoutingConfig& routing) {
  routing::PickOptions options;
  for (const auto& [name, policy] : kPolicies)
    if (name == routing.policy) options.policy = policy;
  options.prefix_load_factor = routing.prefix_load_factor;
  options.slow_start = from_seconds(routing.slow_start_s);
  options.eject_after_failures = routing.eject_after_failures;
  options.eject = from_seconds(routing.eject_s);
  options.eject_max = from_seconds(routing.eject_max_s);
  options.max_ejected_share = routing.max_ejected_share;
  options.max_in_flight = routing.breaker_max_in_flight;
  return options;
}

void ModelPool::set_routing(const config::RoutingConfig& routing) {
  routing_ = routing;
  all_.set_options(pick_options(routing));
  own_.set_options(pick_options(routing));
  retries_ = routing::RetryBudget(routing.retry_budget);
}

}  // namespace flexpert::gateway
