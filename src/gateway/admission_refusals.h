#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "gateway/caller.h"
#include "routing/rate_limit.h"

/// What a client is told that is not let in: every refusal says why, and what to do.
namespace flexpert::gateway {

/// What a request needs of its tenant's tokens: as they count, and what each counts as.
struct AskedTokens {
  std::uint64_t tokens = 0;
  double cost = 1;
};

/// 429 for a tenant over one of its own limits. `verdict` is not kOk; `wait`: until the limit would allow it; none if no wait helps
/// or nobody knows.
Refusal refuse_by_rate(routing::RateVerdict verdict, std::string_view tenant, AskedTokens asked, const routing::RateLimits& limits,
                       std::uint64_t tokens_left, Duration wait);
/// 429: a tenant has as many requests waiting as it may.
Refusal refuse_by_tenant_queue(std::string_view tenant, std::uint32_t queued, int retry_after_s);
/// 503: nobody may wait, or the queue is full of requests that go before this one.
Refusal refuse_by_full_queue(std::uint32_t max_queued, int retry_after_s);
/// 503: it waited, and its place went to a request that goes before it.
Refusal refuse_by_eviction(int retry_after_s);
/// 503: it waited as long as it may.
Refusal refuse_by_deadline(Duration waited, int retry_after_s);
/// 529: the degradation ladder refuses it.
Refusal refuse_by_shedding(bool low_priority, int retry_after_s);

}  // namespace flexpert::gateway
