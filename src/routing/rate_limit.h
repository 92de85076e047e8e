#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"

/// What a tenant may use per minute. Pure: time is an argument. Belongs to one thread.
namespace flexpert::routing {

/// A bucket that holds one minute's worth and is filled continuously: in any stretch of w seconds at most
/// per_minute * (1 + w / 60) are taken by try_take(). Counted in whole sixty-billionths, so nothing is lost to rounding however
/// often it is asked. Time that goes backwards counts as standing still. Limits and amounts above 2^50 count as 2^50.
class RateBucket {
 public:
  /// `per_minute`: 0 = no limit. Begins full.
  explicit RateBucket(std::uint64_t per_minute = 0);
  /// Changes the limit; what was taken stays taken.
  void set_limit(std::uint64_t per_minute, TimePoint now);
  [[nodiscard]] std::uint64_t limit() const { return per_minute_; }
  [[nodiscard]] bool limited() const { return per_minute_ != 0; }

  /// Tells whether `amount` could be taken now.
  [[nodiscard]] bool has(std::uint64_t amount, TimePoint now);
  /// Takes all of `amount` or nothing.
  bool try_take(std::uint64_t amount, TimePoint now);
  /// Takes `amount` even if it is not there: the bucket goes below empty and nothing is given until that is paid back.
  void charge(std::uint64_t amount, TimePoint now);
  /// Puts back what was taken and not used; the bucket never holds more than a minute's worth.
  void refund(std::uint64_t amount, TimePoint now);

  /// What can be taken now, whole; 0 below empty.
  [[nodiscard]] std::uint64_t remaining(TimePoint now);
  /// How long until `amount` can be taken if nobody takes anything; none if it is more than the bucket ever holds.
  [[nodiscard]] std::optional<Duration> until(std::uint64_t amount, TimePoint now);
  /// How long until it is full.
  [[nodiscard]] Duration until_full(TimePoint now);
  [[nodiscard]] bool full(TimePoint now) { return until_full(now) == Duration::zero(); }

 private:
  __extension__ using Wide = __int128;
  void refill(TimePoint now);
  [[nodiscard]] Wide capacity() const;
  [[nodiscard]] Duration time_for(Wide missing) const;

  std::uint64_t per_minute_ = 0;
  Wide level_ = 0;  ///< in units of 1/60e9; below 0 = owed
  TimePoint last_{};
};

struct RateLimits {
  std::uint64_t requests_per_minute = 0;  ///< 0 = no limit, as in the others
  std::uint64_t tokens_per_minute = 0;
  std::uint32_t concurrency = 0;          ///< requests inside the gateway at once, waiting ones included
  bool operator==(const RateLimits&) const = default;
};

enum class RateVerdict : std::uint8_t {
  kOk,
  kConcurrency,
  kRequests,
  kTokens,
  kTooLarge,  ///< more tokens than a minute's worth: no wait would help
};

/// Values of OpenAI's x-ratelimit-{limit,remaining,reset}-*.
struct RateWindow {
  std::uint64_t limit = 0;  ///< 0 = there is none
  std::uint64_t remaining = 0;
  Duration reset{};         ///< until it is full again
};

/// All limits of one tenant. Tokens are reserved by an estimate when a request is let in, and settled when its use is known.
class TenantRates {
 public:
  explicit TenantRates(RateLimits limits = {});
  void set_limits(const RateLimits& limits, TimePoint now);
  [[nodiscard]] const RateLimits& limits() const { return limits_; }

  /// Tells whether a request of so many tokens may come in; takes nothing.
  [[nodiscard]] RateVerdict check(std::uint64_t tokens, TimePoint now);
  /// Takes a request in, after check() said kOk at the same `now`: one request, `tokens`, one place.
  void take(std::uint64_t tokens, TimePoint now);
  /// Counts a request that takes neither tokens nor a place; false: there is none left.
  bool count(TimePoint now) { return requests_.try_take(1, now); }
  /// Replaces `reserved` tokens by `used` ones: never puts back more than was reserved; charges what was used beyond it.
  void settle(std::uint64_t reserved, std::uint64_t used, TimePoint now);
  /// Takes back a request that the gateway itself refused after all: as if it had never come, but for its place.
  void undo(std::uint64_t reserved, TimePoint now);
  /// Gives a request's place back.
  void leave();
  [[nodiscard]] std::uint32_t inside() const { return inside_; }

  /// How long until both rates allow it; what they never will, and places, do not count.
  [[nodiscard]] Duration wait(std::uint64_t tokens, TimePoint now);
  [[nodiscard]] RateWindow requests(TimePoint now);
  [[nodiscard]] RateWindow tokens(TimePoint now);
  /// Tells that forgetting it and beginning anew would change nothing.
  [[nodiscard]] bool idle(TimePoint now);

 private:
  RateLimits limits_;
  RateBucket requests_;
  RateBucket tokens_;
  std::uint32_t inside_ = 0;
};

/// Returns `wait` in whole seconds, rounded up, at least 1: for Retry-After.
int retry_after_s(Duration wait);
/// The longest text of write_reset().
inline constexpr std::size_t kResetBytes = 24;
/// Writes `duration` as OpenAI does, rounded up to milliseconds: "0s", "12ms", "8.64s", "1m30s", "2h5m0s". Returns the text's end.
char* write_reset(char* out, Duration duration);

}  // namespace flexpert::routing
