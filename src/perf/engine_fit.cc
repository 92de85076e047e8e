#include "perf/engine_fit.h"

#include <algorithm>
#include <cmath>

namespace flexpert::perf {
namespace {

double at_share(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, at);
  return *at;
}

}  // namespace

std::vector<StepSample> step_samples(const ClassicSamples& samples, EngineRole role, double chunk_tokens) {
  std::vector<StepSample> steps;
  for (std::size_t i = 0; role != EngineRole::kDecode && i < samples.prefill_isl.size(); ++i) {
    const double isl = samples.prefill_isl[i], count = std::ceil(isl / std::max(1.0, chunk_tokens));
    steps.push_back({isl / count, 0, isl * (count + 1) / 2 / count, samples.prefill_ttft_ms[i] / 1000 / count});
  }
  for (std::size_t i = 0; role != EngineRole::kPrefill && i < samples.decode_itl_ms.size(); ++i) {
    const double context = samples.decode_context_length[i], batch = std::max(1.0,
                                                                              samples.decode_kv_usage[i] * samples.max_kv_tokens / context);
    steps.push_back({0, batch, batch * context, samples.decode_itl_ms[i] / 1000});
  }
  return steps;
}

FitError fit_error(const EngineModel& model, std::span<const StepSample> steps) {
  std::vector<double> errors;
  for (const StepSample& step : steps) {
    errors.push_back(std::fabs(model.step_s(step.new_tokens, step.decode_batch, step.kv_tokens_read) / step.seconds - 1));
  }
  return {at_share(errors, 0.5), at_share(errors, 0.9)};
}

Result<EngineModel> fit_engine(const ClassicSamples& samples, EngineRole role, EngineLimits limits) {
  const std::vector<StepSample> steps = step_samples(samples, role, limits.chunk_tokens);
  FLEXPERT_ASSIGN(const StepCoefficients coefficients, fit_steps(steps));
  if (samples.max_kv_tokens > 0) limits.kv_tokens = samples.max_kv_tokens;
  for (const StepSample& step : steps) limits.max_batch = std::max(limits.max_batch, std::floor(step.decode_batch));
  return EngineModel(coefficients, limits);
}

Result<EngineModel> fit_engine(const EngineProfile& profile, EngineRole role) {
  EngineLimits limits = profile.limits.value_or(EngineLimits{});
  std::vector<StepSample> steps = profile.steps;
  if (profile.samples) {
    const std::vector<StepSample> more = step_samples(*profile.samples, role, limits.chunk_tokens);
    steps.insert(steps.end(), more.begin(), more.end());
    if (!profile.limits) {
      limits.kv_tokens = profile.samples->max_kv_tokens;
      for (const StepSample& step : more) limits.max_batch = std::max(limits.max_batch, std::floor(step.decode_batch));
    }
  }
  if (steps.empty()) return fail(ErrorCode::kInvalidArgument, "profile: an engine model needs steps, or prefill and decode");
  FLEXPERT_ASSIGN(const StepCoefficients coefficients, fit_steps(steps));
  return EngineModel(coefficients, limits);
}

}  // namespace flexpert::perf
