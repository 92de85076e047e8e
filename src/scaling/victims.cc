#include "scaling/victims.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace flexpert::scaling {
namespace {

constexpr double kTokensOfARequest = 256;  // where no instance of the pool tells

int rank_of(InstanceState state) {
  switch (state) {
    case InstanceState::kFailed: return 0;
    case InstanceState::kStarting: return 1;
    case InstanceState::kWarm: return 2;
    case InstanceState::kReady: return 3;
    case InstanceState::kDraining:
    case InstanceState::kStopped: break;
  }
  return 4;
}

double requests_of(const PoolInstance& instance) { return static_cast<double>(instance.in_flight) + instance.queued; }

bool tells_tokens(const PoolInstance& instance) { return std::isfinite(instance.remaining_tokens) && instance.remaining_tokens > 0; }

double tokens_of_a_request(std::span<const PoolInstance> instances) {
  double tokens = 0;
  double requests = 0;
  for (const PoolInstance& instance : instances) {
    if (!tells_tokens(instance) || requests_of(instance) == 0) continue;
    tokens += instance.remaining_tokens;
    requests += requests_of(instance);
  }
  return requests > 0 ? tokens / requests : kTokensOfARequest;
}

}  // namespace

std::vector<std::size_t> victims_in_order(std::span<const PoolInstance> instances) {
  const double each = tokens_of_a_request(instances);
  const auto work = [&](const PoolInstance& instance) {
    if (instance.state != InstanceState::kReady) return 0.0;
    return tells_tokens(instance) ? instance.remaining_tokens : requests_of(instance) * each;
  };
  std::vector<std::size_t> order;
  std::vector<double> works(instances.size());
  for (std::size_t i = 0; i < instances.size(); ++i) {
    works[i] = work(instances[i]);
    if (rank_of(instances[i].state) < 4) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto key = [&](std::size_t i) {
      return std::tuple(rank_of(instances[i].state), works[i], -static_cast<double>(instances[i].since_unix_ms));
    };
    const auto of_a = key(a);
    const auto of_b = key(b);
    if (of_a != of_b) return of_a < of_b;
    if (instances[a].id != instances[b].id) return instances[a].id < instances[b].id;
    return a < b;
  });
  return order;
}

}  // namespace flexpert::scaling
