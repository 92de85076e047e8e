#include "scaling/shadow_score.h"

#include <algorithm>
#include <optional>

#include "scaling/policy_metrics.h"

namespace flexpert::scaling {
namespace {

constexpr double kLeastUse = 0.05;
constexpr double kUseWeight = 0.05;

}  // namespace

void ShadowScore::add(double interval_s, std::uint32_t gpus_per_instance, std::uint32_t was, std::uint32_t count, std::uint32_t ready,
                      double needed) {
  seconds += interval_s;
  gpu_s += interval_s * gpus_per_instance * count;
  shortfall_s += interval_s * std::max(0.0, needed - ready);
  const std::int64_t way = count > was ? 1 : count < was ? -1 : 0;
  if (way == 0) return;
  ++changes;
  if (direction == -way) ++reversals;
  direction = way;
}

void ShadowScore::save(StateWriter& writer) const {
  for (const double value : {seconds, gpu_s, shortfall_s}) writer.number(value);
  for (const auto value : {static_cast<std::int64_t>(changes), static_cast<std::int64_t>(reversals), direction}) writer.integer(value);
}

void ShadowScore::restore(StateReader& reader) {
  for (double* value : {&seconds, &gpu_s, &shortfall_s}) *value = reader.number();
  changes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, reader.integer()));
  reversals = static_cast<std::uint64_t>(std::max<std::int64_t>(0, reader.integer()));
  direction = std::clamp<std::int64_t>(reader.integer(), -1, 1);
}

double RealisedDemand::observe(const PoolObservation& pool, double max_age_s) {
  const auto requests = fresh(pool.traffic.requests_per_s, max_age_s);
  if (!requests) return 0;
  const auto ready = static_cast<double>(std::ranges::count(pool.instances, InstanceState::kReady, &PoolInstance::state));
  const bool waits = fresh(pool.traffic.queued, max_age_s).value_or(0) > 0;
  if (ready > 0 && *requests > 0) {
    const double each = *requests / ready;
    std::optional<double> use;
    for (const char* name : {"utilisation", "gpu", "cpu"}) {
      if (!use) use = mean_metric(pool, name, max_age_s);
    }
    if (use && *use > kLeastUse && !waits) capacity_ += (capacity_ > 0 ? kUseWeight : 1) * (each / std::min(*use, 1.0) - capacity_);
    else if (!use && (!waits || each < capacity_)) capacity_ = waits ? capacity_ + (each - capacity_) / 4 : std::max(capacity_, each);
  }
  return capacity_ > 0 ? *requests / capacity_ : 0;
}

}  // namespace flexpert::scaling
