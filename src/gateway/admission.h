#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "gateway/caller.h"

namespace flexpert::gateway {

/// What admission needs to know of a request.
struct AdmissionRequest {
  const Caller* caller = nullptr;
  std::string_view model{};
  std::uint64_t prompt_tokens = 0;       ///< estimated
  std::uint64_t max_tokens = 0;          ///< of the answer: asked for, or the default; 0 = it has none
  double cost = 1;                       ///< of a token of this model for this caller (auth::ModelRight::cost): weighs in shares and limits
  TimePoint deadline{};                  ///< of the wait; epoch = the configured longest
};

/// A request's place in everything that is limited: its tenant's rate and concurrency, the gateway's own. Given back when it
/// dies, however the request ended.
class Admitted {
 public:
  virtual ~Admitted() = default;
  /// Replaces the reserved tokens by the real ones; without it the reservation stands.
  virtual void settle(std::uint64_t prompt_tokens, std::uint64_t completion_tokens) = 0;
  /// While it is held (for a first server that is being started) it takes no place that another request could have; afterwards
  /// it goes on at once, even if that makes one too many.
  virtual void hold(bool held) = 0;
  [[nodiscard]] virtual Duration waited() const = 0;
};

/// What the ladder says now.
struct Degradation {
  std::uint64_t cap_max_tokens = 0;      ///< 0 = not
  bool answer_from_cache = false;        ///< also answers past their time, and for requests that are not opted in
  std::string_view smaller_model{};      ///< route there instead; empty = not
  std::string_view header{};             ///< value of X-Flexpert-Degraded; empty = nothing was changed
};

/// Who gets in, when, and in which order. The decisions are those of routing's pure parts; this drives them with the clock,
/// timers and the callers that wait. Belongs to the loop's thread.
class Admission {
 public:
  struct Waiting {
    virtual ~Waiting() = default;        ///< dropping it leaves the queue
  };
  using Outcome = std::expected<std::unique_ptr<Admitted>, Refusal>;
  virtual ~Admission() = default;

  /// Admits at once, refuses at once, or queues: then `later` is called once, never from inside admit(), unless the Waiting is
  /// dropped before.
  virtual std::variant<Outcome, std::unique_ptr<Waiting>> admit(const AdmissionRequest& request,
                                                                std::move_only_function<void(Outcome)> later) = 0;
  /// Counts a request that is answered without a server, from the cache: one of its tenant's requests per minute, no tokens, no
  /// place. Returns why it is refused, if it is.
  virtual std::optional<Refusal> count(const Caller& caller) = 0;
  /// What to change about a request that may be degraded. Drops and sheds are refusals of admit().
  virtual Degradation degradation(const Caller& caller, std::string_view model) = 0;
  /// Appends x-ratelimit-* fields for a caller, as OpenAI's.
  virtual void append_rate_limit_fields(std::string& field_lines, const Caller& caller) = 0;
  /// How many requests the upstreams take at once now, all together; 0 = unlimited.
  virtual void set_capacity(std::uint32_t requests) = 0;
  /// Saturation as measured elsewhere (queue on upstreams against capacity), 0 and up; admission adds its own queue to it.
  virtual void set_saturation(double upstream_saturation) = 0;
  [[nodiscard]] virtual std::uint32_t in_flight() const = 0;
  [[nodiscard]] virtual std::uint32_t queued() const = 0;
};

}  // namespace flexpert::gateway
