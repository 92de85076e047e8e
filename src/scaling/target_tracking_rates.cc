#include "scaling/target_tracking_rates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace flexpert::scaling {
namespace {

constexpr std::size_t kMostKept = 1024;
constexpr std::int64_t kMostWanted = 1'000'000;

std::int64_t ms(double seconds) { return static_cast<std::int64_t>(std::llround(seconds * 1000)); }

double longest_period(const TargetTrackingOptions& options) {
  double longest = 0;
  for (const ScalingRules* rules : {&options.up, &options.down})
    for (const RatePolicy& policy : rules->policies) longest = std::max(longest, policy.period_s);
  return longest;
}

/// Where a change upwards (or downwards) may lead by one policy, from the count at the start of its period.
std::int64_t proposal(const RatePolicy& policy, std::int64_t at_start, bool up) {
  const double start = static_cast<double>(at_start);
  if (policy.kind == RatePolicy::Kind::kInstances) return at_start + (up ? 1 : -1) * static_cast<std::int64_t>(policy.value);
  // Upwards rounded up, or a small share could never grow; downwards cut off.
  const double to = up ? std::ceil(start * (1 + policy.value / 100)) : std::trunc(start * (1 - policy.value / 100));
  return static_cast<std::int64_t>(std::clamp(to, -1.0 * kMostWanted, 1.0 * kMostWanted));
}

}  // namespace

void ScalingHistory::see(std::int64_t unix_ms, std::uint32_t current, const TargetTrackingOptions& options) {
  if (!seen_) {
    recommendations_.push_back({unix_ms, current});
  } else if (current != current_) {
    // The change was decided when the count was last seen.
    events_.push_back({seen_unix_ms_, std::int64_t{current} - std::int64_t{current_}});
  }
  seen_ = true;
  current_ = current;
  seen_unix_ms_ = unix_ms;
  const std::int64_t period = ms(longest_period(options));
  while (!events_.empty() && (events_.front().unix_ms <= unix_ms - period || events_.size() > kMostKept)) events_.pop_front();
}

std::uint32_t ScalingHistory::stabilise(std::int64_t unix_ms, std::uint32_t current, std::uint32_t wanted, const TargetTrackingOptions& options) {
  const std::int64_t up_cutoff = unix_ms - ms(options.up.stabilisation_s);
  const std::int64_t down_cutoff = unix_ms - ms(options.down.stabilisation_s);
  std::uint32_t least = wanted;
  std::uint32_t most = wanted;
  for (const Recommendation& each : recommendations_) {
    if (each.unix_ms > up_cutoff) least = std::min(least, each.replicas);
    if (each.unix_ms > down_cutoff) most = std::max(most, each.replicas);
  }
  while (!recommendations_.empty() && (recommendations_.front().unix_ms <= std::min(up_cutoff, down_cutoff) || recommendations_.size() > kMostKept))
    recommendations_.pop_front();
  recommendations_.push_back({unix_ms, wanted});
  return std::min(std::max(current, least), most);
}

std::int64_t ScalingHistory::changed_within(std::int64_t unix_ms, double period_s, bool up) const {
  std::int64_t sum = 0;
  for (const Event& event : events_)
    if (event.unix_ms > unix_ms - ms(period_s) && (event.change > 0) == up) sum += up ? event.change : -event.change;
  return sum;
}

std::uint32_t ScalingHistory::limit(std::int64_t unix_ms, std::uint32_t current, std::uint32_t wanted, const TargetTrackingOptions& options) const {
  if (wanted == current) return wanted;
  const bool up = wanted > current;
  const ScalingRules& rules = up ? options.up : options.down;
  if (rules.select == ScalingRules::Select::kDisabled) return current;
  // The largest change of a growth is the largest count, of a shrink the smallest.
  const bool largest = (rules.select == ScalingRules::Select::kMax) == up;
  std::int64_t bound = largest ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
  for (const RatePolicy& policy : rules.policies) {
    const std::int64_t at_start =
        std::int64_t{current} - changed_within(unix_ms, policy.period_s, true) + changed_within(unix_ms, policy.period_s, false);
    const std::int64_t to = proposal(policy, at_start, up);
    bound = largest ? std::max(bound, to) : std::min(bound, to);
  }
  if (up) return static_cast<std::uint32_t>(std::min<std::int64_t>(wanted, std::max<std::int64_t>(bound, current)));
  return static_cast<std::uint32_t>(std::max<std::int64_t>({std::int64_t{wanted}, std::min<std::int64_t>(bound, current), 0}));
}

void ScalingHistory::save(StateWriter& writer) const {
  writer.tag("scaling_history/1");
  writer.integer(seen_ ? 1 : 0);
  writer.integer(current_);
  writer.integer(seen_unix_ms_);
  writer.integer(static_cast<std::int64_t>(recommendations_.size()));
  for (const Recommendation& each : recommendations_) {
    writer.integer(each.unix_ms);
    writer.integer(each.replicas);
  }
  writer.integer(static_cast<std::int64_t>(events_.size()));
  for (const Event& each : events_) {
    writer.integer(each.unix_ms);
    writer.integer(each.change);
  }
}

void ScalingHistory::restore(StateReader& reader) {
  ScalingHistory read;
  reader.tag("scaling_history/1");
  const auto count = [&reader](std::int64_t most) {
    const std::int64_t value = reader.integer();
    if (value < 0 || value > most) reader.reject("a number of a scaling history is out of range");
    return reader.ok() ? value : 0;
  };
  read.seen_ = reader.integer() != 0;
  read.current_ = static_cast<std::uint32_t>(count(UINT32_MAX));
  read.seen_unix_ms_ = reader.integer();
  for (std::int64_t left = count(kMostKept + 1); left > 0 && reader.ok(); --left) {
    const std::int64_t unix_ms = reader.integer();
    read.recommendations_.push_back({unix_ms, static_cast<std::uint32_t>(count(UINT32_MAX))});
  }
  for (std::int64_t left = count(kMostKept + 1); left > 0 && reader.ok(); --left) {
    const std::int64_t unix_ms = reader.integer();
    read.events_.push_back({unix_ms, reader.integer()});
  }
  *this = reader.ok() ? read : ScalingHistory{};
}

}  // namespace flexpert::scaling
