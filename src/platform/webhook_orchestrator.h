#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/webhook_messages.h"
#include "http/message.h"
#include "net/event_loop.h"

namespace flexpert::platform {

struct WebhookOptions {
  std::string url;                        ///< gets the desired state as POST
  std::string secret;                     ///< key of both directions: "whsec_BASE64" (Standard Webhooks) or any other text as it is
  Duration timeout = Seconds(10);
  Duration first_backoff = Milliseconds(500);
  Duration longest_backoff = Seconds(30);
  Duration tolerance = Seconds(300);      ///< of the sender's clock, for what comes back
  Duration repeat = Seconds(60);          ///< the state in force is sent again so often, for a receiver that lost it
};

/// How the newest desired state fares on its way out.
struct WebhookDelivery {
  std::uint64_t wanted_revision = 0;      ///< of the newest want(); 0: none yet
  std::uint64_t delivered_revision = 0;   ///< that the receiver took (2xx)
  std::uint32_t failures = 0;             ///< in a row
  std::string last_error;                 ///< of the newest attempt; empty if it went well
  std::optional<std::int64_t> last_progress_unix_ms;
};

/// A callback backend, for pools that somebody else's orchestrator runs: the desired state goes out as a signed webhook,
/// progress comes back signed the same way (Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature). A port of
/// its own beside Orchestrator: what goes out is counts per pool, and who should be drained, not processes. Belongs to the
/// loop's thread. See docs/reference/webhooks.md.
class WebhookOrchestrator {
 public:
  using OnProgress = std::function<void(const codec::WebhookProgress&)>;

  /// Errors: kInvalidArgument for a URL that is none, or a secret under 16 bytes.
  static Result<std::unique_ptr<WebhookOrchestrator>> create(net::EventLoop& loop, const Clock& clock, WebhookOptions options);
  ~WebhookOrchestrator();
  WebhookOrchestrator(const WebhookOrchestrator&) = delete;
  WebhookOrchestrator& operator=(const WebhookOrchestrator&) = delete;

  /// Called from take_progress() with every progress that is genuine and newer than the one before of its pool.
  void set_on_progress(OnProgress callback);
  /// Makes `pools` the desired state and sends it, under a revision greater than all before. The same pools again cost
  /// nothing. Retried with backoff until a 2xx answer; a newer state replaces one that is not delivered yet.
  /// Returns the revision.
  std::uint64_t want(std::vector<codec::WebhookPool> pools);
  /// Revisions go on above `revision`: for a controller that was restarted.
  void resume_after(std::uint64_t revision);
  /// Answers POST /api/v1/webhook/progress: 204; 401 for a signature that does not hold or a time too far off; 409 for an
  /// id that was used before; 400 for a body that is malformed.
  http::Response take_progress(const http::Request& request);
  [[nodiscard]] const WebhookDelivery& delivery() const;

 private:
  struct Impl;
  explicit WebhookOrchestrator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::platform
