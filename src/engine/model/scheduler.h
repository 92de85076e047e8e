#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/model/engine.h"
#include "engine/model/kv_cache.h"
#include "engine/model/stop_text.h"

namespace flexpert::engine {

/// A request on its way through the engine.
struct Sequence {
  Sequence(GenerationRequest asked, std::unique_ptr<GenerationSink> listener, const Tokenizer& tokenizer, TimePoint now)
      : request(std::move(asked)),
        sink(std::move(listener)),
        tokens(request.prompt),
        rng(request.sampling.seed),
        decoder(tokenizer),
        stop(request.stop),
        submitted(now),
        last_news(now) {}

  /// Tokens that the model has not seen yet; 1 while decoding.
  [[nodiscard]] std::uint32_t left() const { return static_cast<std::uint32_t>(tokens.size()) - computed; }

  GenerationRequest request;
  std::unique_ptr<GenerationSink> sink;
  std::vector<TokenId> tokens;  ///< prompt and what was generated
  std::uint32_t computed = 0;   ///< of them, in the KV cache
  std::uint32_t generated = 0;
  std::vector<std::uint32_t> blocks;
  Rng rng;
  StreamDecoder decoder;
  StopText stop;
  TimePoint submitted;
  TimePoint last_news;  ///< when it was submitted, then when its last token came
};

/// Decides which sequences run and what a step computes. First come, first served; a sequence is admitted when all the
/// KV blocks that it may ever need are free, so none is ever preempted. No threads, no clock.
class Scheduler {
 public:
  struct Work {
    Sequence* sequence = nullptr;
    std::uint32_t tokens = 0;
  };

  Scheduler(std::uint32_t max_batch, std::uint32_t max_step_tokens, KvCache& cache)
      : max_batch_(max_batch), max_step_tokens_(max_step_tokens), cache_(&cache) {}

  void enqueue(std::unique_ptr<Sequence> sequence) { waiting_.push_back(std::move(sequence)); }
  /// Returns the KV blocks that a sequence may need in all.
  [[nodiscard]] std::uint32_t blocks_for(const Sequence& sequence) const;
  /// Returns the most blocks that one waiting sequence needs; 0 if none waits.
  [[nodiscard]] std::uint32_t most_blocks_waited_for() const;
  /// Takes out the waiting sequences whose deadline is over.
  std::vector<std::unique_ptr<Sequence>> take_late(TimePoint now);
  /// Moves waiting sequences into the batch as far as there are places and KV blocks.
  void admit();
  /// Lists the next step's work: one token of every decoding sequence, then chunks of prompts in order of admission.
  [[nodiscard]] std::vector<Work> plan() const;
  /// Takes out all sequences with this id, waiting or running, and their KV blocks back.
  std::vector<std::unique_ptr<Sequence>> take(const std::string& id);
  /// Takes out a running sequence.
  std::unique_ptr<Sequence> take(const Sequence* sequence);
  std::vector<std::unique_ptr<Sequence>> take_all();

  /// Returns the tokens that all sequences may still generate.
  [[nodiscard]] std::uint64_t tokens_to_come() const;

  [[nodiscard]] bool idle() const { return waiting_.empty() && running_.empty(); }
  [[nodiscard]] std::uint32_t waiting() const { return static_cast<std::uint32_t>(waiting_.size()); }
  [[nodiscard]] std::uint32_t running() const { return static_cast<std::uint32_t>(running_.size()); }

 private:
  std::uint32_t max_batch_;
  std::uint32_t max_step_tokens_;
  KvCache* cache_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;
};

}  // namespace flexpert::engine
