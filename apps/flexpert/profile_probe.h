#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/rng.h"
#include "net/address.h"

namespace flexpert::app {

struct ProfileEngine {
  net::Address address;
  std::string model;
  Duration timeout = Seconds(600);  ///< for one answer
};

/// How one streamed answer went. Times in seconds since all requests of the round were sent.
struct ProbeAnswer {
  double ttft_s = 0;
  std::vector<double> token_at_s;     ///< the first included
  std::uint64_t prompt_tokens = 0;    ///< as the engine counts them
  std::uint64_t completion_tokens = 0;
};

/// Sends `concurrency` requests at once and waits for all answers. Prompts are `words` random words each, all different,
/// so that no prefix cache helps. Errors: the first request that failed, an engine that does not report usage.
Result<std::vector<ProbeAnswer>> probe(const ProfileEngine& engine, std::uint32_t concurrency, std::uint32_t words, std::uint32_t max_tokens, Rng& rng);

/// Returns the mean time between two tokens of one stream while all streams of the round were decoding, in seconds.
/// Errors: they never all were, or for fewer than two tokens each.
Result<double> steady_itl_s(const std::vector<ProbeAnswer>& answers);

/// How many words make a prompt of so many tokens: from the engine's own counts of two prompts.
struct TokensPerWord {
  double per_word = 1;
  double fixed = 0;  ///< of the chat template

  [[nodiscard]] std::uint32_t words_for(double tokens) const;
};
Result<TokensPerWord> measure_tokens_per_word(const ProfileEngine& engine, Rng& rng);

}  // namespace flexpert::app
