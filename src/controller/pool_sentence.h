#pragma once

#include <string>
#include <vector>

#include "fleet/scale_plan.h"

namespace flexpert::controller {

/// One line for people: what a plan changes or holds back, pool by pool, and why.
std::string sentence_of(const ScalePlan& plan);
/// The short form for a cycle without news: "chat 3/3, code 1/1; 4 GPUs".
std::string heartbeat_of(const ScalePlan& plan);
/// What two plans share when the second is no news: where each pool stands, and the codes of its conditions.
std::string standing_of(const ScalePlan& plan);
/// Tells whether a plan does something.
bool acts(const ScalePlan& plan);

}  // namespace flexpert::controller
