#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "config/gateway_options.h"
#include "gateway/caller.h"
#include "net/event_loop.h"
#include "routing/cache_key.h"
#include "routing/response_cache.h"
#include "telemetry/metrics.h"

namespace flexpert::gateway {

/// What the cache needs to know of a request. `caller` must have a right to `model`.
struct CacheRequest {
  const Caller* caller = nullptr;
  std::string_view path{};
  std::string_view model{};              ///< that answers, after any degradation
  std::uint64_t model_epoch = 0;         ///< of its weights and settings
  std::uint64_t cap_max_tokens = 0;      ///< of the ladder; 0 = none
  std::string_view body{};               ///< as the client sent it
  std::string_view cache_control{};      ///< of the client: it only narrows
  bool even_stale = false;               ///< the ladder answers from the cache
};

/// Exact answers, kept and shared: identical requests of one tenant with the same rights on the same state of a model get the
/// answer that one of them computed, if it is the same whenever it is computed (see CanonicalBody). Keys are HMACs under a secret
/// that lives as long as this object. Belongs to the loop's thread, and outlives what it gives out.
class ResponseCaching {
 public:
  using AnswerPtr = std::shared_ptr<const routing::CachedAnswer>;

  /// The request that computes. When it dies before finish(), somebody else computes instead.
  class Lead {
   public:
    virtual ~Lead() = default;
    /// The answer's head has come. False: it is not one to share (not 200, not JSON, or encoded); the others go their own way now.
    virtual bool head(int status, std::string_view content_type, std::string_view content_encoding) = 0;
    /// A piece of its body, framing removed. False: it has become too large; the others go their own way now.
    virtual bool body(std::string_view piece) = 0;
    /// It came to its proper end: it is kept, and the others get it.
    virtual void finish(std::uint64_t prompt_tokens, std::uint64_t completion_tokens) = 0;
    /// Others wait for it: it pays to go on though its own client has gone.
    [[nodiscard]] virtual bool wanted() const = 0;
  };
  /// A place among those who wait for somebody else's answer; dropping it leaves them.
  struct Following {
    virtual ~Following() = default;
  };
  /// There is nothing to share: compute alone. Static text says why.
  struct Alone {
    std::string_view why;
  };
  struct Hit {
    AnswerPtr answer;
    bool by_ladder = false;              ///< without CacheRequest::even_stale it would have been computed anew
  };
  /// What those who waited are told: the answer, or to compute, for the others too or alone.
  using Told = std::variant<AnswerPtr, std::unique_ptr<Lead>, Alone>;
  using Looked = std::variant<Hit, std::unique_ptr<Lead>, std::unique_ptr<Following>, Alone>;

  ResponseCaching(net::EventLoop& loop, const Clock& clock, const config::CacheConfig& config, telemetry::Registry& registry);
  ~ResponseCaching();
  ResponseCaching(const ResponseCaching&) = delete;
  ResponseCaching& operator=(const ResponseCaching&) = delete;

  /// Ask it before look(): a gateway without a cache spends nothing on one.
  [[nodiscard]] bool enabled() const;
  /// Finds the answer, or says who computes it. `later` is called once, never from inside a call to this object, if a Following
  /// was returned and is not dropped before; else it is dropped.
  Looked look(const CacheRequest& request, std::move_only_function<void(Told)> later);
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] std::size_t groups() const;  ///< of identical requests in flight

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Values of X-Flexpert-Cache.
inline constexpr std::string_view kCacheField = "X-Flexpert-Cache";
inline constexpr std::string_view kCacheHit = "hit";
inline constexpr std::string_view kCacheMiss = "miss";

}  // namespace flexpert::gateway
