#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "engine/model/engine.h"

namespace flexpert::engine {

struct SampledToken {
  TokenId token = 0;
  std::optional<float> logprob;  ///< of the model's own distribution, before temperature and cuts
  std::vector<TokenLogprob> top;
};

/// Says what is wrong with the parameters, if anything (kInvalidArgument).
Result<void> check_sampling(const SamplingParams& params);

/// Draws tokens. The result depends on the logits, the parameters and the generator alone; a draw at a temperature
/// above 0 takes exactly one number from it. Keeps scratch memory: one thread.
class Sampler {
 public:
  /// Errors: kInternal where a logit is not finite.
  Result<SampledToken> sample(std::span<const float> logits, const SamplingParams& params, Rng& rng);

 private:
  std::uint32_t draw(std::span<const float> logits, const SamplingParams& params, float greatest, Rng& rng);
  std::uint32_t draw_cut(std::span<const float> logits, const SamplingParams& params, double total, double uniform);
  void add_logprobs(std::span<const float> logits, float greatest, std::uint32_t alternatives, SampledToken& sampled);

  std::vector<float> weights_;
  std::vector<std::uint32_t> order_;
};

}  // namespace flexpert::engine
