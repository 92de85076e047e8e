#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/kernels/compute_pool.h"
#include "engine/model/expert_executor.h"
#include "engine/model/expert_mask.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/weights/checkpoint.h"
#include "placement/recorder.h"
#include "telemetry/metrics.h"

namespace flexpert::engine {

struct SamplingParams {
  float temperature = 1.0F;  ///< 0 = greedy (first maximum)
  float top_p = 1.0F;
  std::uint32_t top_k = 0;   ///< 0 = all
  std::uint64_t seed = 0;
  std::optional<std::uint32_t> top_logprobs = {};  ///< set = logprobs wanted, with so many alternatives (0-20)
};

struct GenerationRequest {
  std::string id;
  std::vector<TokenId> prompt;     ///< not empty
  std::uint32_t max_tokens = 0;    ///< > 0; prompt + max_tokens <= context
  SamplingParams sampling = {};
  std::vector<std::string> stop = {};   ///< texts that end the generation and are not part of it
  bool ignore_eos = false;
  /// The experts that it may use, in prefill and decode; null: all.
  std::shared_ptr<const ExpertMask> mask = {};
  /// Given up with kDeadlineExceeded if it still waits then; what has begun goes on.
  std::optional<TimePoint> deadline = {};
};

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;
};

/// One step's news for one request. `text` is what may be shown now: bytes of an unfinished character or of a possible
/// stop string are held back, so it can be empty.
struct GeneratedToken {
  TokenId token = 0;
  std::string text;
  std::optional<float> logprob = {};
  std::vector<TokenLogprob> top = {};
};

enum class FinishReason { kStop, kLength, kCancelled, kError };

struct GenerationUsage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
};

/// Receives a request's tokens on the engine thread; must not block. on_finish() comes exactly once and last, when
/// stats() counts the request no more. An end token ends the generation without an on_token(), but counts as completed.
class GenerationSink {
 public:
  virtual ~GenerationSink() = default;
  virtual void on_token(const GeneratedToken& token) = 0;
  /// `text` is what was held back and turned out to be shown.
  virtual void on_finish(FinishReason reason, std::string text, GenerationUsage usage, const std::optional<Error>& error) = 0;
};

/// Emulates an accelerator: a step's results are held back until base + per_token * tokens + per_kv_token * context have passed.
struct StepPace {
  double base_ms = 0;
  double per_token_us = 0;     ///< new tokens computed in the step (prefill and decode)
  double per_kv_token_us = 0;  ///< KV entries read by the step
};

struct EngineOptions {
  std::uint32_t threads = 1;                ///< compute threads of the engine's own; not used with `pool`
  /// Compute threads to share with the expert executor, which runs on the engine thread: must outlive the engine.
  ComputePool* pool = nullptr;
  std::uint32_t kv_blocks = 512;
  std::uint32_t max_kv_blocks = 0;          ///< to which resize() may go; 0 = kv_blocks
  std::uint32_t kv_block_tokens = 16;
  std::uint32_t max_batch = 32;             ///< sequences in one step
  std::uint32_t max_step_tokens = 256;      ///< rows in one step: decodes first, then prefill chunks
  std::uint32_t max_queue = 1024;           ///< waiting requests; over it submit() fails with kResourceExhausted
  std::uint32_t max_context = 0;            ///< 0 = the model's max_positions
  std::optional<StepPace> pace = {};
  /// Hears which experts each token chooses, on the engine thread, while it is recording; must outlive the engine.
  placement::Recorder* recorder = nullptr;
};

/// What of the machine an engine uses; changed live with resize().
struct EngineResources {
  std::uint32_t threads = 1;
  std::uint32_t kv_blocks = 1;
};

/// Counters since start; safe to read from any thread.
struct EngineStats {
  std::uint32_t running = 0;
  std::uint32_t queued = 0;
  std::uint32_t kv_blocks_used = 0;
  std::uint32_t kv_blocks_total = 0;
  std::uint32_t kv_blocks_most = 0;  ///< to which they can grow
  std::uint32_t threads = 1;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generated_tokens = 0;
  std::uint64_t routed_tokens = 0;   ///< that went through the layers
  std::uint64_t steps = 0;
};

/// A model with its scheduler, on a thread of its own: continuous batching (requests join and leave at every step,
/// prefill in chunks), KV cache in blocks. A request's tokens depend on its own inputs and seed alone.
class Engine {
 public:
  /// Loads the dense weights and starts the engine thread. `executor` computes the experts and must outlive the engine.
  /// Errors: kInvalidArgument (options that fit neither each other nor the model), kResourceExhausted (memory), and
  /// those of the checkpoint's tensors. Destroying the engine cancels what is left of its requests.
  static Result<std::unique_ptr<Engine>> start(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<const Tokenizer> tokenizer,
                                               ExpertExecutor& executor, EngineOptions options, telemetry::Registry& metrics,
                                               const Clock& clock);
  virtual ~Engine() = default;

  /// Queues a request. Any thread. Errors: kInvalidArgument (context too long, empty prompt, token or sampling parameter
  /// out of range, empty stop string), kResourceExhausted (queue full, or more KV blocks needed than exist), kUnavailable
  /// (the engine stops). After an error the sink hears nothing.
  virtual Result<void> submit(GenerationRequest request, std::unique_ptr<GenerationSink> sink) = 0;
  /// Ends a request before the next step; its sink hears kCancelled. Unknown ids are ignored. Any thread.
  virtual void cancel(const std::string& id) = 0;
  /// Runs `task` on the engine thread between two steps, at once when idle. Any thread.
  virtual void between_steps(std::move_only_function<void()> task) = 0;
  /// Changes threads and KV blocks between two steps, without touching requests: running ones keep their blocks, and fewer are
  /// there for new ones. `done` runs on the engine thread with what is in force then; not at all if the engine stops before.
  /// Errors: kInvalidArgument (threads outside 1-1024, blocks outside 1-max_kv_blocks), kFailedPrecondition (a waiting request
  /// needs more blocks than that), kResourceExhausted (the system gives no more threads). Any thread.
  virtual void resize(EngineResources wanted, std::move_only_function<void(Result<EngineResources>)> done) = 0;
  [[nodiscard]] virtual EngineStats stats() const = 0;
  [[nodiscard]] virtual std::uint32_t max_context() const = 0;
  [[nodiscard]] virtual const ModelConfig& config() const = 0;
  /// Rows computed per (layer, expert) since start: geometry().size() counters. Any thread.
  [[nodiscard]] virtual std::vector<std::uint64_t> expert_loads() const = 0;
  /// Returns the embedding of a token (hidden floats, f32). Any thread.
  [[nodiscard]] virtual Result<std::vector<float>> embedding(TokenId token) const = 0;
};

}  // namespace flexpert::engine
