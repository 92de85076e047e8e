#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/engine.h"

namespace flexpert::engine {

/// An engine whose tokens the test says. Thread-safe.
class FakeEngine final : public Engine {
 public:
  FakeEngine() {
    config_.num_layers = 2;
    config_.num_experts = 4;
    config_.experts_per_token = 2;
    config_.vocab_size = 2048;
    config_.hidden_size = 3;
    config_.eos_token_ids = {2047};
  }

  struct Submitted {
    GenerationRequest request;
    std::shared_ptr<GenerationSink> sink;
  };

  Result<void> submit(GenerationRequest request, std::unique_ptr<GenerationSink> sink) override {
    const std::lock_guard lock(mutex_);
    if (refuse_with) return fail(*refuse_with);
    submitted_.push_back({std::move(request), std::move(sink)});
    changed_.notify_all();
    return {};
  }
  void cancel(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    cancelled_.push_back(id);
    changed_.notify_all();
  }
  void between_steps(std::move_only_function<void()> task) override { task(); }
  void resize(EngineResources wanted, std::move_only_function<void(Result<EngineResources>)> done) override {
    if (wanted.kv_blocks > 16) return done(fail(ErrorCode::kInvalidArgument, "kv_blocks is out of range: {}", wanted.kv_blocks));
    done(wanted);
  }
  [[nodiscard]] EngineStats stats() const override { return {.running = 1, .queued = 2, .kv_blocks_used = 3, .kv_blocks_total = 8, .routed_tokens = 5, .steps = 5}; }
  [[nodiscard]] std::uint32_t max_context() const override { return 1024; }
  [[nodiscard]] const ModelConfig& config() const override { return config_; }
  [[nodiscard]] std::vector<std::uint64_t> expert_loads() const override { return {1, 2, 3, 4, 4, 3, 2, 1}; }
  [[nodiscard]] Result<std::vector<float>> embedding(TokenId token) const override {
    if (token < 0 || token >= 2048) return fail(ErrorCode::kInvalidArgument, "token out of range: {}", token);
    return std::vector<float>{static_cast<float>(token), 1.0F, 2.0F};
  }

  /// Waits for the n-th request (from 1), at most 10 s.
  Submitted wait_for_request(std::size_t n) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [&] { return submitted_.size() >= n; })) return {};
    return submitted_[n - 1];
  }
  bool wait_for_cancel(const std::string& id) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return std::find(cancelled_.begin(), cancelled_.end(), id) != cancelled_.end(); });
  }

  std::optional<Error> refuse_with;  ///< set before the request

 private:
  ModelConfig config_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Submitted> submitted_;
  std::vector<std::string> cancelled_;
};

}  // namespace flexpert::engine
