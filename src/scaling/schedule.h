#pragma once

#include <memory>

#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// Makes the policy of a timetable: an entry is in force from each minute that its cron names (newest_begin() says which
/// instants these are where clocks change) for its duration in real time, also across midnight. Of several in force the
/// highest priority counts, then the most replicas, then the earlier entry. A holiday is a date in the schedule's zone: an
/// entry with on_holidays = false does not begin on one; begun the day before it goes on. Keeps no state.
/// Errors: kInvalidArgument for a cron or a date that cannot be read.
Result<std::unique_ptr<Policy>> make_schedule_policy(const ScheduleOptions& options);

}  // namespace flexpert::scaling
