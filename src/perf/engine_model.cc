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
  double prompt_tokens = 0;
  double prompt_reads = 0;    ///< contexts of its chunks, summed
  double context = 0;         ///< of one sequence in a decode step
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
    work.prompt_tokens = isl;
    work.prompt_reads = context_read;
    work.prefill_s = step.per_new_token * isl + step.per_kv_token * context_read;
  }
  if (role != EngineRole::kPrefill) {
    // Over all steps: a long answer is in more of them.
    const double context = isl + osl * (1 + load.osl_spread) / 2;
    work.context = context;
    work.decode_tokens = role == EngineRole::kDecode ? osl : osl - 1;
    work.per_token_s = step.per_sequence + step.per_kv_token * context;
    // Contexts differ more than counts do: a cache that is full on average is over-full half of the time.
    const double by_cache = limits.kv_tokens / context, slack = std::min(0.5 * by_cache, 0.8 * std::sqrt(by_cache * std::min(1.0,
        load.osl_spread)));
    work.most_together = isl + osl > limits.kv_tokens ? 0 : std::floor(std::max(1.0, std::min(limits.max_batch, by_cache - slack)));
  } else {
    work.most_together = isl > limits.kv_tokens ? 0 : 1;
  }
  return work;
}

double squared(double value) { return value * value; }

/// Noise that averages out over a time that is itself exponentially distributed: Student's t with two degrees of freedom.
double exponential_time_quantile(double p) { return (2 * p - 1) / std::sqrt(2 * p * (1 - p)); }

/// A latency's mean and p-quantile. Parts are independent: means add, and so do the squares of what quantiles exceed them by.
struct Latency {
  double mean = 0;
  double excess_squared = 0;

  void add(double part_mean, double part_quantile) {
    mean += part_mean;
    excess_squared += squared(std::max(0.0, part_quantile - part_mean));
  }
  /// Adds a wait that happens with probability `share` and is then exponential.
  void add_wait(double share, double wait, double p) { add(share * wait, share > 1 - p ? wait * std::log(share / (1 - p)) : 0); }
  double own = 0;  ///< of the mean: no wait
  [[nodiscard]] double quantile() const { return mean + std::sqrt(excess_squared); }
};

/// Time between tokens, averaged over a request.
Latency token_time(const RequestWork& work, const SharingQueue& decoding, double rate, double fixed, const Workload& load, double p) {
  const double slower = 1 / (1 - rate * work.prefill_s), busiest = std::max(decoding.served_quantile(p), decoding.mean_served());
  Latency latency;
  latency.mean = decoding.seconds_per_token();
  // Others come and go while a request decodes: averaged over its own time two thirds of the variance remain.
  const double by_batch = squared(work.per_token_s * slower * (busiest - decoding.mean_served())) * 2 / 3;
  // Prompts that come in between hold the tokens up: the variance of a time with interruptions, M/G/1 with preemptive priority.
  const double z = normal_quantile(p), prompts_z = z + (exponential_time_quantile(p) - z) * std::min(1.0, load.osl_spread);
  const double prompt = (work.prefill_s + work.steps_shared * fixed) * slower;
  const double by_prompts = rate * latency.mean * squared(prompt) * (1 + load.isl_spread) / std::max(1.0, work.decode_tokens);
  // At worst every step has a full chunk.
  const double chunk = work.steps_shared > 0 ? work.prefill_s / work.steps_shared : 0;
  const double worst = std::max(0.0, fixed + work.per_token_s * busiest + chunk - latency.mean);
  latency.excess_squared = std::min(by_batch + squared(prompts_z) * by_prompts, squared(worst));
  return latency;
}

/// Time to the first token: the decode step in progress, the prompts before, room in the batch, its own steps.
Latency first_token(const RequestWork& work, const SharingQueue& decoding, double rate, double fixed, const Workload& load,
                    EngineRole role, double p,
                    bool shared_steps) {
  const double step = fixed + work.per_token_s * decoding.mean_served(), slower = 1 / (1 - rate * work.prefill_s);
  const double full_step = (fixed + work.per_token_s * work.most_together) * slower;
  double busy = 1 - decoding.empty();
  Latency latency;
  latency.add_wait(decoding.full(), full_step * work.decode_tokens / work.most_together / std::max(1e-9, 1 - decoding.load_when_full()), p);
  if (role == EngineRole::kDecode) {
    latency.add(step, step);
    latency.own = step;
    latency.add(busy * step / 2, busy * step * p);
    return latency;
  }
  const double apart = work.steps_alone * step + work.prefill_s, shared = work.steps_shared * step + work.prefill_s;
  const double spread = std::sqrt(load.isl_spread) * shared, free = std::max(1e-9, 1 - rate * shared);
  // Prompts have steps to themselves, or those that have come while a step ran share the next ones.
  const double service = shared_steps ? shared : apart;
  const double queue_share = std::min(1.0, rate * service);
  const double queue_mean = rate * (squared(service) + squared(spread)) / 2 / free / std::max(1e-12, queue_share);
  if (shared_steps) busy = std::min(1.0, busy + rate * apart);
  const double in_progress = shared_steps ? step * slower : step;
  latency.add_wait(queue_share, queue_mean, p);
  latency.add(busy * in_progress / 2, busy * in_progress * p);
  // Its step ends with those of the prompts that came after it and fit.
  const double others = std::min(rate * latency.mean, std::max(0.0, 1 / work.steps_shared - 1)) * work.prefill_s / 2;
  latency.own = apart;
  latency.add(apart + others, apart + others + spread * std::max(0.0, -std::log1p(-p) - 1));
  return latency;
}

}  // namespace

double EngineModel::step_s(double new_tokens, double decode_batch, double kv_tokens_read) const {
  return coefficients_.fixed + coefficients_.per_new_token * new_tokens + coefficients_.per_sequence * decode_batch +
         coefficients_.per_kv_token * kv_tokens_read;
}

StepSample EngineModel::mean_step(double requests_per_s, Workload workload, EngineRole role, double itl_s) const {
  const RequestWork work = work_of(coefficients_, limits_, workload, role);
  const double share = requests_per_s * itl_s, batch = std::clamp(share * work.decode_tokens, 1.0, std::max(1.0, limits_.max_batch));
  return {share * work.prompt_tokens, batch, batch * work.context + share * work.prompt_reads, itl_s};
}

StepSample EngineModel::prompt_step(Workload workload, EngineRole role, double decode_batch, double& steps) const {
  const RequestWork work = work_of(coefficients_, limits_, workload, role);
  steps = std::max(1.0, work.steps_alone);
  return {work.prompt_tokens / steps, decode_batch, decode_batch * work.context + work.prompt_reads / steps, 0};
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
  // Decoding, slowed down by the share of time that prompts take.
  const double fixed = coefficients_.fixed, slower = 1 / (1 - rate * work.prefill_s);
  const SharingQueue decoding(rate * work.decode_tokens, fixed * slower, work.per_token_s * slower, work.most_together);
  point.batch = decoding.mean_served();
  if (work.decode_tokens > 0) {
    const Latency itl = token_time(work, decoding, rate, fixed, workload, p);
    point.mean_itl_s = itl.mean;
    point.itl_s = itl.quantile();
  }
  const Latency apart = first_token(work, decoding, rate, fixed, workload, role, p, false);
  const Latency shared = first_token(work, decoding, rate, fixed, workload, role, p, true);
  point.mean_ttft_s = std::min(apart.mean, shared.mean);
  point.mean_wait_s = point.mean_ttft_s - apart.own;
  point.ttft_s = std::max(point.mean_ttft_s, std::min(apart.quantile(), shared.quantile()));
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
  for (int i = 0; i < 22; ++i) {
    const double middle = (low + high) / 2;
    (holds(middle * saturated) ? low : high) = middle;
  }
  return low * saturated;
}

}  // namespace flexpert::perf
