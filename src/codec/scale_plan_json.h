#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "fleet/scale_plan.h"

/// The JSON form of a pool plan: in the journal, in /api/v1/status and /api/v1/decisions. Numbers come back bit for bit,
/// so two plans are the same exactly when their texts are.
namespace flexpert::codec {

std::string encode(const ScalePlan& plan);
/// Errors: kDataLoss naming the field.
Result<ScalePlan> decode_scale_plan(std::string_view json);
/// Encodes one pool's part alone.
std::string encode(const PoolPlan& plan);
std::string encode(const Reason& reason);

}  // namespace flexpert::codec
