#pragma once

#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "config/gateway_options.h"
#include "gateway/admission.h"
#include "net/event_loop.h"
#include "routing/degradation.h"
#include "telemetry/metrics.h"

namespace flexpert::gateway {

/// Makes the ladder that `steps` describe. Errors: kInvalidArgument that names the step and the field.
Result<routing::DegradationLadder> make_ladder(const std::vector<config::DegradationStepConfig>& steps);

/// Makes the admission of one event loop; loop, clock and registry outlive it and whatever it gave out. Tenants are told apart by
/// Identity::tenant; their limits, weight and class are those of the grant that came last, so that a new policy counts from the
/// next request on. Admitted and Waiting objects may outlive the Admission: `later` is not called any more then.
/// Errors: as make_ladder().
Result<std::unique_ptr<Admission>> make_admission(net::EventLoop& loop, const Clock& clock, const config::AdmissionConfig& config,
                                                  telemetry::Registry& registry);

}  // namespace flexpert::gateway
