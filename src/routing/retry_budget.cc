#include "routing/retry_budget.h"

namespace flexpert::routing {
namespace {

std::int64_t second_of(TimePoint now) { return std::chrono::floor<Seconds>(now.time_since_epoch()).count(); }

}  // namespace

RetryBudget::Second& RetryBudget::at(TimePoint now) {
  const std::int64_t which = second_of(now);
  Second& second = seconds_[static_cast<std::size_t>(which) % kWindowSeconds];
  if (second.which != which) second = {which, 0, 0};
  return second;
}

bool RetryBudget::take(TimePoint now) {
  Second& present = at(now);
  double requests = 0;
  double retries = 0;
  for (const Second& second : seconds_) {
    if (second.which <= present.which - static_cast<std::int64_t>(kWindowSeconds)) continue;
    requests += second.requests;
    retries += second.retries;
  }
  if (retries + 1 > share_ * requests + floor_per_s_ * static_cast<double>(kWindowSeconds)) return false;
  ++present.retries;
  return true;
}

}  // namespace flexpert::routing
