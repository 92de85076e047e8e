#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "engine/model/engine.h"
#include "net/event_loop.h"

namespace flexpert::engine {

/// How a request ended, as its sink heard it.
struct GenerationEnd {
  FinishReason reason = FinishReason::kStop;
  std::string text;
  GenerationUsage usage;
  std::optional<Error> error;
};

/// One piece of news of the request that was numbered `key`: a token, or its end.
struct TokenEvent {
  std::uint64_t key = 0;
  GeneratedToken token;               ///< if there is no end
  std::optional<GenerationEnd> end;
};

/// Brings tokens from the engine thread to the loop's thread: all that comes before the loop wakes is one batch.
class TokenOutbox : public std::enable_shared_from_this<TokenOutbox> {
 public:
  using Deliver = std::function<void(std::vector<TokenEvent>)>;
  /// `deliver` runs on the loop's thread. The loop must outlive every sink.
  TokenOutbox(net::EventLoop& loop, Deliver deliver) : loop_(loop), deliver_(std::move(deliver)) {}

  /// Makes the sink of a request. Any thread; the sink keeps the outbox alive.
  std::unique_ptr<GenerationSink> sink_for(std::uint64_t key);
  /// Ends deliveries. The loop's thread.
  void close() { deliver_ = nullptr; }
  /// Adds one event. Any thread.
  void push(TokenEvent event);

 private:
  void flush();

  net::EventLoop& loop_;
  Deliver deliver_;  // the loop's thread only
  Mutex mutex_;
  std::vector<TokenEvent> pending_ GUARDED_BY(mutex_);
};

}  // namespace flexpert::engine
