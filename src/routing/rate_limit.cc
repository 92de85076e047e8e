#include "routing/rate_limit.h"

#include <algorithm>
#include <limits>

#include "base/decimal.h"

namespace flexpert::routing {
RateBucket::RateBucket(std::uint64_t per_minute)
    : per_minute_(std::min(per_minute, kMost)), capacity_(units(per_minute)), level_(capacity_) {}

void RateBucket::set_limit(std::uint64_t per_minute, TimePoint now) {
  refill(now);
  const Wide taken = capacity_ - level_;
  per_minute_ = std::min(per_minute, kMost);
  capacity_ = units(per_minute);
  level_ = capacity_ - taken;
}

bool RateBucket::try_take(std::uint64_t amount, TimePoint now) {
  if (!has(amount, now)) return false;
  take(amount);
  return true;
}

void RateBucket::charge(std::uint64_t amount, TimePoint now) {
  if (!limited()) return;
  refill(now);
  constexpr Wide kLowest = -(Wide{1} << 120);
  level_ = std::max(kLowest, level_ - units(amount));
}

void RateBucket::refund(std::uint64_t amount, TimePoint now) {
  if (!limited()) return;
  refill(now);
  level_ = std::min(capacity_, level_ + units(amount));
}

std::uint64_t RateBucket::remaining(TimePoint now) {
  if (!limited()) return std::numeric_limits<std::uint64_t>::max();
  refill(now);
  return whole();
}

std::optional<Duration> RateBucket::until(std::uint64_t amount, TimePoint now) {
  if (!limited()) return Duration::zero();
  refill(now);
  if (units(amount) > capacity_) return std::nullopt;
  return time_for(units(amount) - level_);
}

Duration RateBucket::until_full(TimePoint now) {
  if (!limited()) return Duration::zero();
  refill(now);
  return time_for(capacity_ - level_);
}

TenantRates::TenantRates(RateLimits limits) : limits_(limits), requests_(limits.requests_per_minute), tokens_(limits.tokens_per_minute) {}

void TenantRates::set_limits(const RateLimits& limits, TimePoint now) {
  if (limits == limits_) return;
  limits_ = limits;
  requests_.set_limit(limits.requests_per_minute, now);
  tokens_.set_limit(limits.tokens_per_minute, now);
}

RateVerdict TenantRates::check(std::uint64_t tokens, TimePoint now) {
  if (limits_.concurrency != 0 && inside_ >= limits_.concurrency) return RateVerdict::kConcurrency;
  if (!requests_.has(1, now)) return RateVerdict::kRequests;
  if (tokens_.has(tokens, now)) return RateVerdict::kOk;
  return tokens_.until(tokens, now) ? RateVerdict::kTokens : RateVerdict::kTooLarge;
}

void TenantRates::take(std::uint64_t tokens) {
  requests_.take(1);
  tokens_.take(tokens);
  ++inside_;
}

void TenantRates::settle(std::uint64_t reserved, std::uint64_t used, TimePoint now) {
  if (used < reserved) tokens_.refund(reserved - used, now);
  if (used > reserved) tokens_.charge(used - reserved, now);
}

void TenantRates::undo(std::uint64_t reserved, TimePoint now) {
  requests_.refund(1, now);
  tokens_.refund(reserved, now);
}

void TenantRates::leave() {
  if (inside_ > 0) --inside_;
}

Duration TenantRates::wait(std::uint64_t tokens, TimePoint now) {
  return std::max(tokens_.until(tokens, now).value_or(Duration::zero()), requests_.until(1, now).value_or(Duration::zero()));
}

bool TenantRates::idle(TimePoint now) { return inside_ == 0 && requests_.full(now) && tokens_.full(now); }

int retry_after_s(Duration wait) {
  const std::int64_t seconds = wait.count() / 1'000'000'000 + (wait.count() % 1'000'000'000 > 0 ? 1 : 0);
  return static_cast<int>(std::clamp<std::int64_t>(seconds, 1, std::numeric_limits<int>::max()));
}

char* write_reset(char* out, Duration duration) {
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
  const std::uint64_t ms = (ns + 999'999) / 1'000'000;
  if (ms > 0 && ms < 1000) {
    out = write_decimal(out, ms);
    *out++ = 'm';
    *out++ = 's';
    return out;
  }
  const std::uint64_t minutes = ms / 60'000;
  if (minutes >= 60) {
    out = write_decimal(out, minutes / 60);
    *out++ = 'h';
  }
  if (minutes > 0) {
    out = write_decimal(out, minutes % 60);
    *out++ = 'm';
  }
  out = write_decimal(out, ms % 60'000 / 1000);
  if (const std::uint64_t fraction = ms % 1000; fraction != 0) {
    *out++ = '.';
    *out++ = static_cast<char>('0' + fraction / 100);
    if (fraction % 100 != 0) *out++ = static_cast<char>('0' + fraction / 10 % 10);
    if (fraction % 10 != 0) *out++ = static_cast<char>('0' + fraction % 10);
  }
  *out++ = 's';
  return out;
}

}  // namespace flexpert::routing
