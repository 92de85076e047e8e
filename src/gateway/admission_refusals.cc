#include "gateway/admission_refusals.h"

#include <fmt/format.h>

namespace flexpert::gateway {
namespace {

constexpr std::string_view kRateCode = "rate_limit_exceeded";

Refusal overloaded(std::string message, std::string_view code, int retry_after_s) {
  return {.status = 503, .message = std::move(message), .type = "server_error", .code = code, .retry_after_s = retry_after_s};
}

}  // namespace

Refusal refuse_by_rate(routing::RateVerdict verdict, std::string_view tenant, AskedTokens asked, const routing::RateLimits& limits,
                       std::uint64_t tokens_left, Duration wait) {
  Refusal refusal{.status = 429, .message = {}, .type = "requests", .code = kRateCode, .retry_after_s = routing::retry_after_s(wait)};
  const auto made_of = [&] {
    const std::string parts = "prompt and max_tokens";
    return asked.cost == 1 ? parts : fmt::format("{}, each counted as {:.4g}", parts, asked.cost);
  };
  switch (verdict) {
    case routing::RateVerdict::kConcurrency:
      refusal.message =
          fmt::format("Tenant \"{}\" has {} requests at once, as many as it may. Wait for one of them to end, or ask for a higher limit.",
                      tenant, limits.concurrency);
      break;
    case routing::RateVerdict::kRequests:
      refusal.message = fmt::format("Rate limit reached for tenant \"{}\" on requests per minute: limit {}. Try again in {} s.", tenant,
                                    limits.requests_per_minute, refusal.retry_after_s);
      break;
    case routing::RateVerdict::kTooLarge:
      refusal.type = "tokens";
      refusal.retry_after_s = 0;
      refusal.message = fmt::format(
          "The request is too large for tenant \"{}\": about {} tokens ({}) where its limit is {} per minute. "
          "Send a shorter prompt or a smaller max_tokens; waiting does not help.",
          tenant, asked.tokens, made_of(), limits.tokens_per_minute);
      break;
    case routing::RateVerdict::kTokens:
    case routing::RateVerdict::kOk:
      refusal.type = "tokens";
      refusal.message = fmt::format(
          "Rate limit reached for tenant \"{}\" on tokens per minute: limit {}, left {}, requested about {} ({}). "
          "Try again in {} s, or ask for fewer max_tokens.",
          tenant, limits.tokens_per_minute, tokens_left, asked.tokens, made_of(), refusal.retry_after_s);
      break;
  }
  return refusal;
}

Refusal refuse_by_tenant_queue(std::string_view tenant, std::uint32_t queued, int retry_after_s) {
  return {
      .status = 429,
      .message = fmt::format("Tenant \"{}\" has {} requests waiting, as many as it may. Try again in {} s.", tenant, queued, retry_after_s),
      .type = "requests",
      .code = kRateCode,
      .retry_after_s = retry_after_s};
}

Refusal refuse_by_full_queue(std::uint32_t max_queued, int retry_after_s) {
  return overloaded(fmt::format("The gateway is overloaded: {} requests wait already. Try again in {} s.", max_queued, retry_after_s),
                    "queue_full", retry_after_s);
}

Refusal refuse_by_eviction(int retry_after_s) {
  return overloaded(
      fmt::format(
          "The gateway is overloaded, and the place of this request in the queue went to one that goes before it. Try again in {} s.",
          retry_after_s),
      "queue_full", retry_after_s);
}

Refusal refuse_by_deadline(Duration waited, int retry_after_s) {
  return overloaded(
      fmt::format("The gateway is overloaded: no server was free within {:.1f} s. Try again in {} s.", to_seconds(waited), retry_after_s),
      "queue_timeout", retry_after_s);
}

Refusal refuse_by_shedding(bool low_priority, int retry_after_s) {
  return {
      .status = 529,
      .message = low_priority
                     ? fmt::format("The gateway is overloaded and takes no low-priority requests now. Try again in {} s.", retry_after_s)
                     : fmt::format("The gateway is overloaded and takes only what it can serve at once. Try again in {} s.", retry_after_s),
      .type = "overloaded_error",
      .code = low_priority ? "low_priority_dropped" : "overloaded",
      .retry_after_s = retry_after_s};
}

}  // namespace flexpert::gateway
