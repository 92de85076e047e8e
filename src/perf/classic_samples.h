#pragma once

#include "base/result.h"
#include "perf/classic_profile.h"

namespace flexpert::perf {

/// Checks samples before anything is computed from them: lengths, ranges, order, and units by what must hold between
/// columns (a prompt's tokens over its TTFT is the throughput; a batch over its ITL too). Errors: kInvalidArgument naming
/// the field and index.
Result<void> validate(const ClassicSamples& samples);

}  // namespace flexpert::perf
