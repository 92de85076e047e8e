#include "engine/model/engine.h"

#include <algorithm>
#include <deque>
#include <new>
#include <system_error>
#include <thread>
#include <variant>

#include "base/mutex.h"
#include "engine/model/decoder.h"
#include "engine/model/engine_metrics.h"
#include "engine/model/sampler.h"
#include "engine/model/scheduler.h"

namespace flexpert::engine {
namespace {

using Task = std::move_only_function<void()>;
struct Cancel {
  std::string id;
};
/// What other threads ask of the engine thread, done in the order in which it was asked.
using Command = std::variant<std::unique_ptr<Sequence>, Cancel, Task>;

constexpr std::uint32_t kMostThreads = 1024;

struct Finished {
  std::unique_ptr<Sequence> sequence;
  FinishReason reason = FinishReason::kStop;
  bool text_ended = false;  ///< by a stop string: nothing held back is to be shown
  std::optional<Error> error;
};

class EngineThread final : public Engine {
 public:
  EngineThread(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<const Tokenizer> tokenizer, std::unique_ptr<Decoder> decoder,
               ExpertExecutor& executor, const EngineOptions& options, telemetry::Registry& metrics, const Clock& clock)
      : config_(checkpoint->config()),
        options_(options),
        tokenizer_(std::move(tokenizer)),
        decoder_(std::move(decoder)),
        executor_(executor),
        clock_(clock),
        metrics_(metrics, options),
        cache_(config_.num_layers, options.kv_blocks, options.kv_block_tokens, config_.num_kv_heads, config_.head_dim, options.max_kv_blocks),
        scheduler_(options.max_batch, options.max_step_tokens, cache_) {
    if (options.pool == nullptr) own_pool_ = std::make_unique<ComputePool>(options.threads);
    pool_ = options.pool != nullptr ? options.pool : own_pool_.get();
    metrics_.set_resources({.threads = pool_->threads(), .kv_blocks = options.kv_blocks});
    {
      MutexLock lock(mutex_);
      stats_.kv_blocks_total = options.kv_blocks;
      stats_.kv_blocks_most = cache_.most();
      stats_.threads = pool_->threads();
    }
    thread_ = std::thread([this] { run(); });
  }

  ~EngineThread() override {
    {
      MutexLock lock(mutex_);
      closing_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  Result<void> submit(GenerationRequest request, std::unique_ptr<GenerationSink> sink) override {
    FLEXPERT_TRY(check(request, stats().kv_blocks_total));
    auto sequence = std::make_unique<Sequence>(std::move(request), std::move(sink), *tokenizer_, clock_.now());
    {
      MutexLock lock(mutex_);
      if (closing_) return fail(ErrorCode::kUnavailable, "the engine is stopping");
      if (stats_.queued >= options_.max_queue)
        return fail(ErrorCode::kResourceExhausted, "the queue is full, try again later: {} requests wait", stats_.queued);
      ++stats_.queued;
      ++submitted_;
      commands_.emplace_back(std::move(sequence));
    }
    wake_.notify_all();
    return {};
  }

  void cancel(const std::string& id) override { ask(Cancel{id}); }
  void between_steps(std::move_only_function<void()> task) override { ask(std::move(task)); }
  void resize(EngineResources wanted, std::move_only_function<void(Result<EngineResources>)> done) override {
    ask([this, wanted, done = std::move(done)]() mutable { done(resize_now(wanted)); });
  }

  [[nodiscard]] EngineStats stats() const override {
    MutexLock lock(mutex_);
    return stats_;
  }
  [[nodiscard]] std::uint32_t max_context() const override { return options_.max_context; }
  [[nodiscard]] const ModelConfig& config() const override { return config_; }
  [[nodiscard]] std::vector<std::uint64_t> expert_loads() const override { return decoder_->loads().snapshot(); }

  [[nodiscard]] Result<std::vector<float>> embedding(TokenId token) const override {
    FLEXPERT_TRY(check_token(token));
    std::vector<float> values(config_.hidden_size);
    decoder_->embedding().read(static_cast<std::uint32_t>(token), values.data());
    return values;
  }

 private:
  [[nodiscard]] Result<void> check_token(TokenId token) const {
    if (token >= 0 && static_cast<std::uint32_t>(token) < config_.vocab_size) return {};
    return fail(ErrorCode::kInvalidArgument, "token out of range: {}, the vocabulary has {}", token, config_.vocab_size);
  }

  [[nodiscard]] Result<void> check(const GenerationRequest& request, std::uint32_t kv_blocks) const {
    if (request.prompt.empty()) return fail(ErrorCode::kInvalidArgument, "the prompt is empty");
    if (request.max_tokens == 0) return fail(ErrorCode::kInvalidArgument, "max_tokens must be at least 1");
    for (const TokenId token : request.prompt) FLEXPERT_TRY(check_token(token));
    const std::uint64_t context = std::uint64_t{request.max_tokens} + request.prompt.size();
    if (context > options_.max_context)
      return fail(ErrorCode::kInvalidArgument,
                  "the request is longer than the model's context: {} prompt tokens and {} to generate, {} fit; shorten the prompt or lower "
                  "max_tokens",
                  request.prompt.size(), request.max_tokens, options_.max_context);
    for (const std::string& stop : request.stop)
      if (stop.empty()) return fail(ErrorCode::kInvalidArgument, "a stop string is empty");
    FLEXPERT_TRY(check_sampling(request.sampling));
    const std::uint32_t blocks = cache_.blocks_for(static_cast<std::uint32_t>(context));
    if (blocks > kv_blocks) return too_few_blocks(blocks, kv_blocks);
    return {};
  }

  static std::unexpected<Error> too_few_blocks(std::uint32_t needed, std::uint32_t there) {
    return fail(ErrorCode::kResourceExhausted, "the request needs more KV blocks than there are: {} of {}; raise kv_blocks", needed, there);
  }

  /// On the engine thread.
  Result<EngineResources> resize_now(EngineResources wanted) {
    if (wanted.threads < 1 || wanted.threads > kMostThreads)
      return fail(ErrorCode::kInvalidArgument, "threads is out of range: {}; allowed: 1 to {}", wanted.threads, kMostThreads);
    if (wanted.kv_blocks < 1 || wanted.kv_blocks > cache_.most())
      return fail(ErrorCode::kInvalidArgument, "kv_blocks is out of range: {}; allowed: 1 to {} (--max-kv-blocks at start)", wanted.kv_blocks, cache_.most());
    if (const std::uint32_t needed = scheduler_.most_blocks_waited_for(); needed > wanted.kv_blocks)
      return fail(ErrorCode::kFailedPrecondition, "kv_blocks is too small for a request that waits: {} of {}; try again later", needed, wanted.kv_blocks);
    FLEXPERT_TRY(pool_->resize(wanted.threads));
    cache_.resize(wanted.kv_blocks);
    metrics_.set_resources(wanted);
    MutexLock lock(mutex_);
    stats_.kv_blocks_total = wanted.kv_blocks;
    stats_.threads = wanted.threads;
    return wanted;
  }

  void ask(Command command) {
    {
      MutexLock lock(mutex_);
      commands_.push_back(std::move(command));
    }
    wake_.notify_all();
  }

  void run() {
    for (;;) {
      std::deque<Command> commands;
      bool closing = false;
      {
        MutexLock lock(mutex_);
        while (commands_.empty() && !closing_ && scheduler_.idle()) wake_.wait(mutex_);
        commands.swap(commands_);
        submitted_ = 0;
        closing = closing_;
      }
      for (Command& command : commands) obey(command);
      if (closing) {
        std::vector<Finished> left;
        for (auto& sequence : scheduler_.take_all()) left.push_back({.sequence = std::move(sequence), .reason = FinishReason::kCancelled, .error = {}});
        finish(std::move(left));
        return;
      }
      give_up_late();
      scheduler_.admit();
      publish();
      if (scheduler_.idle()) {
        show_busiest();
      } else {
        step();
      }
    }
  }

  void give_up_late() {
    std::vector<Finished> late;
    for (auto& sequence : scheduler_.take_late(clock_.now()))
      late.push_back({.sequence = std::move(sequence),
                      .reason = FinishReason::kError,
                      .error = Error{ErrorCode::kDeadlineExceeded, "the request's deadline passed while it waited"}});
    finish(std::move(late));
  }

  void obey(Command& command) {
    if (auto* submitted = std::get_if<std::unique_ptr<Sequence>>(&command)) {
      enqueue(std::move(*submitted));
    } else if (auto* cancelled = std::get_if<Cancel>(&command)) {
      std::vector<Finished> ended;
      for (auto& sequence : scheduler_.take(cancelled->id))
        ended.push_back({.sequence = std::move(sequence), .reason = FinishReason::kCancelled, .error = {}});
      finish(std::move(ended));
    } else {
      std::get<Task>(command)();
    }
  }

  void enqueue(std::unique_ptr<Sequence> sequence) {
    // The cache may have shrunk since submit() looked.
    if (const std::uint32_t needed = scheduler_.blocks_for(*sequence); needed > cache_.total()) {
      std::vector<Finished> ended;
      ended.push_back({.sequence = std::move(sequence), .reason = FinishReason::kError, .error = too_few_blocks(needed, cache_.total()).error()});
      return finish(std::move(ended));
    }
    scheduler_.enqueue(std::move(sequence));
  }

  void publish() {
    EngineStats stats;
    {
      MutexLock lock(mutex_);
      stats_.queued = scheduler_.waiting() + submitted_;
      stats_.running = scheduler_.running();
      stats_.kv_blocks_used = cache_.used();
      stats_.prompt_tokens = prompt_tokens_;
      stats_.generated_tokens = generated_tokens_;
      stats_.routed_tokens = routed_tokens_;
      stats_.steps = steps_;
      stats = stats_;
    }
    metrics_.set_levels(stats, scheduler_.tokens_to_come());
  }

  void show_busiest() {
    metrics_.show_busiest(decoder_->loads().snapshot(), decoder_->loads().geometry());
    metrics_.busiest_shown(clock_.now());
  }

  void step() {
    const TimePoint start = clock_.now();
    const std::vector<Scheduler::Work> work = scheduler_.plan();
    std::vector<SequenceRows> rows;
    std::uint64_t tokens = 0;
    std::uint64_t prompt_tokens = 0;
    std::uint64_t context = 0;
    for (const Scheduler::Work& one : work) {
      const Sequence& sequence = *one.sequence;
      rows.push_back({.tokens = std::span(sequence.tokens).subspan(sequence.computed, one.tokens),
                      .first_position = sequence.computed,
                      .blocks = sequence.blocks,
                      .logits_wanted = one.tokens == sequence.left(),
                      .mask = sequence.request.mask.get()});
      tokens += one.tokens;
      if (sequence.generated == 0) prompt_tokens += one.tokens;
      context += sequence.computed + one.tokens;
    }
    ++steps_;
    executor_.begin_step(steps_);
    const std::span<const float> logits = decoder_->forward(rows, steps_, cache_, executor_, *pool_);
    if (options_.pace) hold_until(start, *options_.pace, tokens, context);
    prompt_tokens_ += prompt_tokens;
    routed_tokens_ += tokens;
    metrics_.count_step(prompt_tokens, clock_.now() - start);
    deliver(work, rows, logits);
    if (metrics_.busiest_due(clock_.now())) show_busiest();
  }

  void hold_until(TimePoint start, const StepPace& pace, std::uint64_t tokens, std::uint64_t context) {
    const double ms = pace.base_ms + (pace.per_token_us * static_cast<double>(tokens) + pace.per_kv_token_us * static_cast<double>(context)) / 1000;
    const TimePoint end = start + from_seconds(ms / 1000);
    MutexLock lock(mutex_);
    while (!closing_ && clock_.now() < end) wake_.wait_until(mutex_, end);
  }

  void deliver(const std::vector<Scheduler::Work>& work, const std::vector<SequenceRows>& rows, std::span<const float> logits) {
    std::vector<Finished> finished;
    const TimePoint now = clock_.now();
    for (std::size_t i = 0; i < work.size(); ++i) {
      Sequence& sequence = *work[i].sequence;
      sequence.computed += work[i].tokens;
      if (!rows[i].logits_wanted) continue;
      Result<SampledToken> sampled = sampler_.sample(logits.first(config_.vocab_size), sequence.request.sampling, sequence.rng);
      logits = logits.subspan(config_.vocab_size);
      if (!sampled) {
        finished.push_back({.sequence = scheduler_.take(&sequence), .reason = FinishReason::kError, .error = sampled.error()});
      } else if (std::optional<Finished> end = accept(sequence, std::move(*sampled), now)) {
        end->sequence = scheduler_.take(&sequence);
        finished.push_back(std::move(*end));
      }
    }
    finish(std::move(finished));
  }

  /// Gives the sequence its next token; returns how it ends, if it does.
  std::optional<Finished> accept(Sequence& sequence, SampledToken sampled, TimePoint now) {
    ++sequence.generated;
    ++generated_tokens_;
    metrics_.count_token();
    if (sequence.generated == 1) {
      metrics_.count_first_token(now - sequence.last_news);
    } else {
      metrics_.count_next_token(now - sequence.last_news);
    }
    sequence.last_news = now;
    const auto& ends = config_.eos_token_ids;
    if (!sequence.request.ignore_eos && std::find(ends.begin(), ends.end(), sampled.token) != ends.end())
      return Finished{.sequence = nullptr, .reason = FinishReason::kStop, .error = {}};
    sequence.tokens.push_back(sampled.token);
    StopText::News news = sequence.stop.push(sequence.decoder.push(sampled.token));
    sequence.sink->on_token({.token = sampled.token, .text = std::move(news.show), .logprob = sampled.logprob, .top = std::move(sampled.top)});
    if (news.stopped) return Finished{.sequence = nullptr, .reason = FinishReason::kStop, .text_ended = true, .error = {}};
    if (sequence.generated == sequence.request.max_tokens) return Finished{.sequence = nullptr, .reason = FinishReason::kLength, .error = {}};
    return std::nullopt;
  }

  /// Tells the sinks, after the counts have changed.
  void finish(std::vector<Finished> finished) {
    if (finished.empty()) return;
    publish();
    for (Finished& one : finished) {
      Sequence& sequence = *one.sequence;
      std::string text;
      if (!one.text_ended) {
        StopText::News news = sequence.stop.push(sequence.decoder.flush());
        text = std::move(news.show);
        if (!news.stopped) text += sequence.stop.flush();
      }
      metrics_.count_finish(one.reason, clock_.now() - sequence.submitted);
      const GenerationUsage usage{.prompt_tokens = static_cast<std::uint32_t>(sequence.request.prompt.size()),
                                  .completion_tokens = sequence.generated};
      sequence.sink->on_finish(one.reason, std::move(text), usage, one.error);
    }
  }

  const ModelConfig config_;
  const EngineOptions options_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const std::unique_ptr<Decoder> decoder_;

  mutable Mutex mutex_;
  Condition wake_;
  std::deque<Command> commands_ GUARDED_BY(mutex_);
  std::uint32_t submitted_ GUARDED_BY(mutex_) = 0;  // sequences in commands_
  bool closing_ GUARDED_BY(mutex_) = false;
  EngineStats stats_ GUARDED_BY(mutex_);

  // The engine thread's own.
  ExpertExecutor& executor_;
  const Clock& clock_;
  std::unique_ptr<ComputePool> own_pool_;
  ComputePool* pool_ = nullptr;
  EngineMetrics metrics_;
  KvCache cache_;
  Scheduler scheduler_;
  Sampler sampler_;
  std::uint64_t steps_ = 0;
  std::uint64_t prompt_tokens_ = 0;
  std::uint64_t generated_tokens_ = 0;
  std::uint64_t routed_tokens_ = 0;

  std::thread thread_;
};

Result<void> check_options(const EngineOptions& options, const ModelConfig& config) {
  if (options.threads == 0 && options.pool == nullptr) return fail(ErrorCode::kInvalidArgument, "threads must be at least 1");
  if (options.kv_blocks == 0 || options.kv_block_tokens == 0)
    return fail(ErrorCode::kInvalidArgument, "kv_blocks and kv_block_tokens must be at least 1: {} and {}", options.kv_blocks,
                options.kv_block_tokens);
  if (options.max_kv_blocks != 0 && options.max_kv_blocks < options.kv_blocks)
    return fail(ErrorCode::kInvalidArgument, "max_kv_blocks must be at least kv_blocks: {} and {}", options.max_kv_blocks, options.kv_blocks);
  if (options.max_batch == 0) return fail(ErrorCode::kInvalidArgument, "max_batch must be at least 1");
  if (options.max_step_tokens < options.max_batch)
    return fail(ErrorCode::kInvalidArgument, "max_step_tokens must be at least max_batch: {} and {}", options.max_step_tokens, options.max_batch);
  if (options.max_context > config.max_positions)
    return fail(ErrorCode::kInvalidArgument, "max_context is over what the model allows: {} of {}", options.max_context, config.max_positions);
  return {};
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<const Tokenizer> tokenizer,
                                              ExpertExecutor& executor, EngineOptions options, telemetry::Registry& metrics,
                                              const Clock& clock) {
  FLEXPERT_TRY(check_options(options, checkpoint->config()));
  if (options.max_context == 0) options.max_context = checkpoint->config().max_positions;
  try {
    FLEXPERT_ASSIGN(std::unique_ptr<Decoder> decoder, Decoder::load(checkpoint, options.max_context));
    decoder->record_to(options.recorder);
    return std::make_unique<EngineThread>(std::move(checkpoint), std::move(tokenizer), std::move(decoder), executor, options, metrics, clock);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kResourceExhausted, "no memory for the model and its KV cache: {} blocks of {} tokens; lower kv_blocks",
                options.kv_blocks, options.kv_block_tokens);
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kResourceExhausted, "no thread for the engine: {}", error.what());
  }
}

}  // namespace flexpert::engine
