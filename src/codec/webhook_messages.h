#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "fleet/decision.h"
#include "fleet/fleet_snapshot.h"

/// The JSON bodies of the webhook backend (docs/reference/webhooks.md). Pure.
namespace flexpert::codec {

/// How many instances of one pool there should be, and which of those known are to go.
struct WebhookPool {
  PoolId pool;
  std::string model;               ///< that requests name
  std::uint32_t desired = 0;       ///< instances that serve or start; those in `drain` do not count
  std::vector<InstanceId> drain;   ///< take no new request, finish their work, go
  double drain_deadline_s = 120;
  std::vector<Reason> reasons;

  bool operator==(const WebhookPool&) const = default;
};

/// What goes out.
struct WebhookDesired {
  std::uint64_t revision = 0;
  std::int64_t unix_ms = 0;
  std::vector<WebhookPool> pools;

  bool operator==(const WebhookDesired&) const = default;
};

std::string encode(const WebhookDesired& desired);
Result<WebhookDesired> decode_webhook_desired(std::string_view json);

/// One instance as the other orchestrator sees it.
struct WebhookInstance {
  InstanceId id;
  InstanceState state = InstanceState::kStarting;  ///< starting, warm, ready, draining, stopped or failed
  std::string address;       ///< "HOST:PORT", once known
  std::string error;         ///< why it failed

  bool operator==(const WebhookInstance&) const = default;
};

/// What comes back for one pool: all of its instances (one that is not named is gone).
struct WebhookProgress {
  PoolId pool;
  std::uint64_t revision = 0;  ///< of the desired state that is being worked on; 0: of none
  std::uint64_t sequence = 0;  ///< grows with every progress of this pool; an older one is ignored
  std::vector<WebhookInstance> instances;

  bool operator==(const WebhookProgress&) const = default;
};

std::string encode(const WebhookProgress& progress);
/// Errors: kInvalidArgument naming the field; at most 10,000 instances, each id once, texts of at most 1 KiB.
Result<WebhookProgress> decode_webhook_progress(std::string_view json);

}  // namespace flexpert::codec
