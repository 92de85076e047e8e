#include "engine/model/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/kernels/elementwise.h"

namespace flexpert::engine {

Result<void> check_sampling(const SamplingParams& params) {
  if (!std::isfinite(params.temperature) || params.temperature < 0)
    return fail(ErrorCode::kInvalidArgument, "temperature must be 0 or more: {}", params.temperature);
  if (!(params.top_p > 0 && params.top_p <= 1)) return fail(ErrorCode::kInvalidArgument, "top_p must be over 0 and at most 1: {}", params.top_p);
  if (params.top_logprobs.value_or(0) > 20)
    return fail(ErrorCode::kInvalidArgument, "top_logprobs must be at most 20: {}", *params.top_logprobs);
  return {};
}

Result<SampledToken> Sampler::sample(std::span<const float> logits, const SamplingParams& params, Rng& rng) {
  std::uint32_t first_best = 0;
  for (std::uint32_t i = 0; i < logits.size(); ++i) {
    if (!std::isfinite(logits[i])) return fail(ErrorCode::kInternal, "the model gave a logit that is not a finite number, of token {}", i);
    if (logits[i] > logits[first_best]) first_best = i;
  }
  const float greatest = logits[first_best];
  SampledToken sampled;
  sampled.token = static_cast<TokenId>(params.temperature == 0 ? first_best : draw(logits, params, greatest, rng));
  if (params.top_logprobs) add_logprobs(logits, greatest, *params.top_logprobs, sampled);
  return sampled;
}

std::uint32_t Sampler::draw(std::span<const float> logits, const SamplingParams& params, float greatest, Rng& rng) {
  const double uniform = rng.uniform();
  weights_.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) weights_[i] = (logits[i] - greatest) / params.temperature;
  exponentials(weights_.data(), weights_.size(), weights_.data());
  const double total = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  if ((params.top_k != 0 && params.top_k < logits.size()) || params.top_p < 1) return draw_cut(logits, params, total, uniform);
  double left = uniform * total;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i] == 0) continue;
    last = i;
    left -= weights_[i];
    if (left < 0) break;
  }
  return last;
}

/// Top-k first, then of what is left the fewest tokens that hold top_p of its weight.
std::uint32_t Sampler::draw_cut(std::span<const float> logits, const SamplingParams& params, double total, double uniform) {
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0U);
  const auto falls = [&](std::uint32_t a, std::uint32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
  const std::size_t candidates = params.top_k != 0 ? std::min<std::size_t>(params.top_k, order_.size()) : order_.size();
  std::size_t sorted = 0;
  const auto sort_to = [&](std::size_t count) {
    const auto begin = order_.begin() + static_cast<std::ptrdiff_t>(sorted);
    std::partial_sort(begin, order_.begin() + static_cast<std::ptrdiff_t>(count), order_.end(), falls);
    sorted = count;
  };
  if (candidates < order_.size()) {
    sort_to(candidates);
    total = 0;
    for (std::size_t i = 0; i < candidates; ++i) total += weights_[order_[i]];
  }
  double held = 0;
  std::size_t kept = 0;
  do {
    if (kept == sorted) sort_to(std::min(candidates, std::max<std::size_t>(64, 4 * sorted)));
    held += weights_[order_[kept++]];
  } while (kept < candidates && held < params.top_p * total);
  double left = uniform * held;
  for (std::size_t i = 0; i + 1 < kept; ++i) {
    left -= weights_[order_[i]];
    if (left < 0) return order_[i];
  }
  return order_[kept - 1];
}

void Sampler::add_logprobs(std::span<const float> logits, float greatest, std::uint32_t alternatives, SampledToken& sampled) {
  weights_.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) weights_[i] = logits[i] - greatest;
  exponentials(weights_.data(), weights_.size(), weights_.data());
  const double log_total = std::log(std::accumulate(weights_.begin(), weights_.end(), 0.0));
  const auto logprob_of = [&](std::uint32_t token) { return static_cast<float>(double{logits[token]} - greatest - log_total); };
  sampled.logprob = logprob_of(static_cast<std::uint32_t>(sampled.token));
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0U);
  const std::size_t count = std::min<std::size_t>(alternatives, order_.size());
  std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(count), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  for (std::size_t i = 0; i < count; ++i) sampled.top.push_back({static_cast<TokenId>(order_[i]), logprob_of(order_[i])});
}

}  // namespace flexpert::engine
