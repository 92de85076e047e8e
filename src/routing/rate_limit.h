#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/clock.h"

/// What a tenant may use per minute. Pure: time is an argument. Belongs to one thread.
namespace flexpert::routing {

/// Values of OpenAI's x-ratelimit-{remaining,reset}-*; zeros where there is no limit.
struct RateWindow {
  std::uint64_t remaining = 0;
  Duration reset{};         ///< until it is full again
};

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
  [[nodiscard]] bool has(std::uint64_t amount, TimePoint now) {
    if (!limited()) return true;
    refill(now);
    return level_ >= units(amount);
  }
  /// Takes all of `amount` or nothing.
  bool try_take(std::uint64_t amount, TimePoint now);
  /// Takes `amount` even if it is not there: the bucket goes below empty and nothing is given until that is paid back.
  void charge(std::uint64_t amount, TimePoint now);
  /// Takes `amount` at the time at which has() was asked last.
  void take(std::uint64_t amount) {
    if (limited()) level_ -= units(amount);
  }
  /// Puts back what was taken and not used; the bucket never holds more than a minute's worth.
  void refund(std::uint64_t amount, TimePoint now);

  /// What can be taken now, whole; 0 below empty.
  [[nodiscard]] std::uint64_t remaining(TimePoint now);
  /// How long until `amount` can be taken if nobody takes anything; none if it is more than the bucket ever holds.
  [[nodiscard]] std::optional<Duration> until(std::uint64_t amount, TimePoint now);
  /// How long until it is full.
  [[nodiscard]] Duration until_full(TimePoint now);
  /// All of that at once; nothing where there is no limit.
  [[nodiscard]] RateWindow window(TimePoint now);
  [[nodiscard]] bool full(TimePoint now) { return until_full(now) == Duration::zero(); }

 private:
  __extension__ using Wide = __int128;
  static constexpr std::uint64_t kMinute = 60'000'000'000;  // ns, and the units of one request or token
  static constexpr std::uint64_t kMost = std::uint64_t{1} << 50;

  static Wide units(std::uint64_t amount) { return static_cast<Wide>(amount < kMost ? amount : kMost) * kMinute; }
  void refill(TimePoint now) {
    if (now <= last_) return;
    // Below 2^50 * 2^63: fits.
    const Wide filled = level_ + static_cast<Wide>(static_cast<std::int64_t>(per_minute_)) * (now - last_).count();
    level_ = filled < capacity_ ? filled : capacity_;
    last_ = now;
  }
  /// Divides what is not negative; too large a result counts as the largest.
  static std::uint64_t divide(Wide value, std::uint64_t by);
  [[nodiscard]] std::uint64_t whole() const { return level_ <= 0 ? 0 : divide(level_, kMinute); }
  [[nodiscard]] Duration time_for(Wide missing) const;

  std::uint64_t per_minute_ = 0;
  Wide capacity_ = 0;  ///< in units of 1/60e9
  Wide level_ = 0;     ///< the same; below 0 = owed
  TimePoint last_{};
};

inline std::uint64_t RateBucket::divide(Wide value, std::uint64_t by) {
#if defined(__x86_64__)
  // One instruction, where the compiler would call a function for two words by one.
  if (auto high = static_cast<std::uint64_t>(value >> 64); high < by) [[likely]] {
    auto low = static_cast<std::uint64_t>(value);
    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(by) : "cc");
    return low;
  }
#endif
  constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
  const Wide result = value / by;
  return result > kLargest ? kLargest : static_cast<std::uint64_t>(result);
}

inline Duration RateBucket::time_for(Wide missing) const {
  if (missing <= 0) return Duration::zero();
  const std::uint64_t wait = divide(missing + per_minute_ - 1, per_minute_);
  constexpr std::uint64_t kLongest = std::numeric_limits<std::int64_t>::max();
  return Duration(static_cast<std::int64_t>(wait < kLongest ? wait : kLongest));
}

inline RateWindow RateBucket::window(TimePoint now) {
  if (!limited()) return {};
  refill(now);
  return {whole(), time_for(capacity_ - level_)};
}

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

/// All limits of one tenant. Tokens are reserved by an estimate when a request is let in, and settled when its use is known.
class TenantRates {
 public:
  explicit TenantRates(RateLimits limits = {});
  void set_limits(const RateLimits& limits, TimePoint now);
  [[nodiscard]] const RateLimits& limits() const { return limits_; }

  /// Tells whether a request of so many tokens may come in; takes nothing.
  [[nodiscard]] RateVerdict check(std::uint64_t tokens, TimePoint now);
  /// Takes a request in, after check() said kOk: one request, `tokens`, one place.
  void take(std::uint64_t tokens);
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
  [[nodiscard]] RateWindow requests(TimePoint now) { return requests_.window(now); }
  [[nodiscard]] RateWindow tokens(TimePoint now) { return tokens_.window(now); }
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
/// Room that write_reset() needs.
inline constexpr std::size_t kResetBytes = 32;
/// Writes `duration` as OpenAI does, rounded up to milliseconds: "0s", "12ms", "8.64s", "1m30s", "2h5m0s". Returns the text's end.
char* write_reset(char* out, Duration duration);

}  // namespace flexpert::routing
