#pragma once

#include <vector>

#include "base/result.h"
#include "perf/classic_profile.h"
#include "perf/engine_model.h"

/// Engine models from measured profiles.
namespace flexpert::perf {

/// Returns the steps that a profile's points are the times of: a prompt alone for each TTFT, in chunks where it is longer than
/// one; a full decode step for each ITL. A role takes only its own part. Samples must have passed ClassicProfile::create().
std::vector<StepSample> step_samples(const ClassicSamples& samples, EngineRole role, double chunk_tokens);

/// How well a model explains steps: relative errors.
struct FitError {
  double median = 0;
  double p90 = 0;
};
FitError fit_error(const EngineModel& model, std::span<const StepSample> steps);

/// Fits an engine model to a profile, for one role of its instances. Limits that the profile does not hold are `limits`; the KV
/// cache is the profile's, and the batch at least the largest that was measured. Errors: as fit_steps().
Result<EngineModel> fit_engine(const ClassicSamples& samples, EngineRole role, EngineLimits limits = {});

/// Fits an engine model to a whole profile: its steps, and its samples where there are any. Errors: kInvalidArgument naming what
/// is missing; as fit_steps().
Result<EngineModel> fit_engine(const EngineProfile& profile, EngineRole role);

}  // namespace flexpert::perf
