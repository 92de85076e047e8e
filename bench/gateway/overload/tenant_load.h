#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"

namespace flexpert::bench {

/// One tenant's streamed requests: a Poisson process, whatever comes back (open loop, no retries).
struct TenantLoad {
  std::string api_key;
  double per_s = 1;
  std::uint32_t tokens = 32;   ///< of an answer on average: evenly random from half to one and a half times as many
  std::uint64_t seed = 1;
};

struct TenantResult {
  std::uint64_t sent = 0;
  std::uint64_t good = 0;               ///< whole, and begun within the patience; ended in the window
  std::uint64_t good_tokens = 0;        ///< prompts' and answers', as the upstream counts them
  std::uint64_t late = 0;               ///< whole, but begun later
  std::map<std::string, std::uint64_t> refused{};  ///< by status and code
  std::uint64_t broken = 0;             ///< cut, malformed, or without [DONE]
  std::uint64_t without_retry_after = 0;           ///< refusals that do not say when to come back
  std::vector<double> ttft_ms{};        ///< of answers whose request was sent in the window, whole or late
};

/// The part of a run that is counted: what happens before it warms up.
struct LoadWindow {
  Duration warm_up = Seconds(3);
  Duration measured = Seconds(10);
  Duration patience = Seconds(1);       ///< an answer whose first token comes later is worth nothing
};

/// Sends all tenants' load at once to 127.0.0.1:`port`; returns when the window is over, dropping what is in flight.
std::vector<TenantResult> run_tenants(std::uint16_t port, const std::vector<TenantLoad>& tenants, const LoadWindow& window);

}  // namespace flexpert::bench
