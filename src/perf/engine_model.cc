#include "perf/engine_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "perf/normal_quantile.h"
#include "perf/sharing_queue.h"

namespace flexpert::perf {
namespace {

/// The work of one request in a role.
struct RequestWork {
  double steps_alone = 0;     ///< that its prompt takes when it has them for itself
  double steps_shared = 0;    ///< its share of them when prompts fill the steps
  double prefill_s = 0;       ///< of its prompt, without the steps' fixed time
  double decode_tokens = 0;   ///< after the first one
  double per_token_s = 0;     ///< of one sequence in a decode step
  double most_together = 0;   ///< sequences that the batch and the KV cache hold
};

RequestWork work_of(const StepCoefficients& step, const EngineLimits& limits, Workload load, EngineRole role) {
  RequestWork work;
  const double isl = std::max(1.0, load.isl), osl = std::max(1.0, load.osl);
  if (role != EngineRole::kDecode) {
    const double chunk = std::max(1.0, limits.chunk_tokens);
    work.steps_alone = std::ceil(isl / chunk);
    work.steps_shared = isl / chunk;
    const double context_read = isl <= chunk ? isl : isl * (isl / chunk + 1) / 2;
    work.prefill_s = step.per_new_token * isl + step.per_kv_token * context_read;
  }
  if (role != EngineRole::kPrefill) {
    const double context = isl + osl / 2;
    work.decode_tokens = role == EngineRole::kDecode ? osl : osl - 1;
    work.per_token_s = step.per_sequence + step.per_kv_token * context;
    work.most_together = isl + osl > limits.kv_tokens ? 0 : std::floor(std::min(limits.max_batch, limits.kv_tokens / context));
  } else {
    work.most_together = isl > limits.kv_tokens ? 0 : 1;
  }
  return work;
}

/// The p-quantile of an exponential waiting time of `mean` that happens with probability `share`.
double waiting_quantile(double share, double mean, double p) {
  if (!(share > 1 - p) || mean <= 0) return 0;
  return mean * std::log(share / (1 - p));
}

double squared(double value) { return value * value; }

}  // namespace

double EngineModel::step_s(double new_tokens, double decode_batch, double kv_tokens_read) const {
  return coefficients_.fixed + coefficients_.per_new_token * new_tokens + coefficients_.per_sequence * decode_batch +
         coefficients_.per_kv_token * kv_tokens_read;
}

double EngineModel::saturation(Workload workload, EngineRole role) const {
  const RequestWork work = work_of(coefficients_, limits_, workload, role);
  if (work.most_together < 1) return 0;
  const double marginal = work.prefill_s + work.decode_tokens * work.per_token_s;
  // In each step a full batch gets a token each, or a full chunk of prompts is computed: whichever comes first.
  const double by_batch = work.decode_tokens / work.most_together * coefficients_.fixed + marginal;
  const double by_chunk = work.steps_shared * coefficients_.fixed + marginal;
  const double seconds = std::max(by_batch, by_chunk);
  return seconds > 0 ? 1 / seconds : std::numeric_limits<double>::max();
}

LoadPoint EngineModel::at(double requests_per_s, Workload workload, EngineRole role, double percentile) const {
  const RequestWork work = work_of(coefficients_, limits_, workload, role);
  const double saturated = saturation(workload, role), rate = std::max(0.0, requests_per_s), p = percentile;
  LoadPoint point;
  point.utilisation = saturated > 0 ? rate / saturated : std::numeric_limits<double>::infinity();
  point.stable = point.utilisation < 1;
  if (!point.stable) {
    point.ttft_s = point.itl_s = point.mean_ttft_s = point.mean_itl_s = std::numeric_limits<double>::infinity();
    point.batch = work.most_together;
    return point;
  }
  const double z = normal_quantile(p), fixed = coefficients_.fixed;

  // Decoding, slowed down by the share of time that prompts take.
  const double prompts_share = rate * work.prefill_s, slower = 1 / (1 - prompts_share);
  const SharingQueue decoding(rate * work.decode_tokens, fixed * slower, work.per_token_s * slower, work.most_together);
  point.batch = decoding.mean_served();
  if (work.decode_tokens > 0) {
    const double mean = rate > 0 ? decoding.seconds_per_token() : fixed + work.per_token_s;
    // Others come and go while a request decodes: averaged over its own time two thirds of the variance remain. The prompts
    // that come in between are a Poisson number.
    const double by_batch = squared(work.per_token_s * slower) * decoding.variance_served() * 2 / 3;
    const double by_prompts = rate * mean * squared(work.prefill_s + work.steps_shared * fixed) * (1 + workload.isl_spread) / work.decode_tokens;
    point.mean_itl_s = mean;
    point.itl_s = mean + z * std::sqrt(by_batch + by_prompts);
  }

  // The first token: the step in progress, the prompts before, room in the batch, its own steps.
  const double step = fixed + work.per_token_s * point.batch;
  double own = step, own_spread = 0, queue_share = 0, queue_mean = 0;
  if (role != EngineRole::kDecode) {
    own = work.steps_alone * step + work.prefill_s;
    own_spread = (work.prefill_s + work.steps_shared * step) * std::sqrt(workload.isl_spread) * std::max(0.0, -std::log1p(-p) - 1);
    const double service = work.prefill_s + work.steps_shared * step;
    queue_share = std::min(rate * service, 1 - 1e-9);
    queue_mean = service * (1 + workload.isl_spread) / (2 * (1 - queue_share));
  }
  const double full_step = (fixed + work.per_token_s * work.most_together) * slower;
  const double room_mean = full_step * work.decode_tokens / work.most_together / std::max(1e-9, 1 - decoding.load_when_full());
  const double busy = std::min(1.0, rate * (work.steps_alone * fixed + work.prefill_s) + 1 - decoding.empty());
  const double residual = busy * (step + prompts_share * work.prefill_s) / 2;
  const double mean = own + residual + queue_share * queue_mean + decoding.full() * room_mean;
  const double excess = squared(own_spread) + squared(residual * (2 * p - 1)) +
                        squared(std::max(0.0, waiting_quantile(queue_share, queue_mean, p) - queue_share * queue_mean)) +
                        squared(std::max(0.0, waiting_quantile(decoding.full(), room_mean, p) - decoding.full() * room_mean));
  point.mean_ttft_s = mean;
  point.ttft_s = mean + std::sqrt(excess);
  return point;
}

double EngineModel::capacity(Workload workload, const LatencyTargets& targets, EngineRole role) const {
  const auto holds = [&](double rate) {
    const LoadPoint point = at(rate, workload, role, targets.percentile);
    if (!point.stable) return false;
    if (targets.ttft_s && point.ttft_s > *targets.ttft_s) return false;
    return !targets.itl_s || role == EngineRole::kPrefill || point.itl_s <= *targets.itl_s;
  };
  const double saturated = saturation(workload, role);
  if (saturated <= 0 || !holds(0)) return 0;
  double low = 0, high = 1;  // of saturation
  for (int i = 0; i < 30; ++i) {
    const double middle = (low + high) / 2;
    (holds(middle * saturated) ? low : high) = middle;
  }
  return low * saturated;
}

}  // namespace flexpert::perf
