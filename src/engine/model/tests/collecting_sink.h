#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "engine/model/engine.h"

namespace flexpert::engine {

/// What one request was told.
struct Heard {
  std::vector<TokenId> tokens;
  std::string text;
  std::vector<GeneratedToken> news;
  std::optional<FinishReason> reason;
  int finishes = 0;
  GenerationUsage usage;
  std::optional<Error> error;
};

/// Collects a request's tokens; wait() returns when it has finished (or, for a test to fail on, after a minute).
class Collected {
 public:
  /// Makes the sink to give to the engine. `on_token` is called on the engine thread after each token is kept.
  std::unique_ptr<GenerationSink> sink(std::function<void(std::size_t count)> on_token = {}) {
    return std::make_unique<Sink>(state_, std::move(on_token));
  }

  Heard wait() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    MutexLock lock(state_->mutex);
    while (!state_->heard.reason && std::chrono::steady_clock::now() < deadline) state_->changed.wait_until(state_->mutex, deadline);
    return state_->heard;
  }

 private:
  struct State {
    Mutex mutex;
    Condition changed;
    Heard heard GUARDED_BY(mutex);
  };

  class Sink final : public GenerationSink {
   public:
    Sink(std::shared_ptr<State> state, std::function<void(std::size_t)> on_token) : state_(std::move(state)), on_token_(std::move(on_token)) {}
    void on_token(const GeneratedToken& token) override {
      std::size_t count = 0;
      {
        MutexLock lock(state_->mutex);
        state_->heard.tokens.push_back(token.token);
        state_->heard.text += token.text;
        state_->heard.news.push_back(token);
        count = state_->heard.tokens.size();
      }
      if (on_token_) on_token_(count);
    }
    void on_finish(FinishReason reason, std::string text, GenerationUsage usage, const std::optional<Error>& error) override {
      MutexLock lock(state_->mutex);
      state_->heard.text += text;
      state_->heard.reason = reason;
      ++state_->heard.finishes;
      state_->heard.usage = usage;
      state_->heard.error = error;
      state_->changed.notify_all();
    }

   private:
    std::shared_ptr<State> state_;
    std::function<void(std::size_t)> on_token_;
  };

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace flexpert::engine
