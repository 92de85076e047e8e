#pragma once

#include <memory>
#include <unordered_map>

#include "gateway/answer.h"
#include "gateway/caller.h"
#include "gateway/engine_registration.h"
#include "gateway/gateway_metrics.h"
#include "http/inbound.h"
#include "http/message.h"

namespace flexpert::gateway {

/// The calls of the admin API: whoever makes it hands one to the Gateway.
class AdminRoutes {
 public:
  virtual ~AdminRoutes() = default;
  /// `caller` has proved who he is and has some right on the gateway; which right a call needs is for this to ask. `peer` is in the
  /// request.
  virtual void handle(const http::Request& request, const CallerPtr& caller, std::unique_ptr<Answer> answer) = 0;
};

/// Lets callers with rights on the gateway through to AdminRoutes, and engines that register to EngineRegistration, on a listener of its
/// own. Belongs to the loop's thread.
class AdminListener final : public http::InboundAcceptor {
 public:
  /// `routes` null: there is no call, whoever asks. All of it outlives the listener.
  AdminListener(net::EventLoop& loop, Authenticator& authenticator, GatewayMetrics& metrics, EngineRegistration& registration, AdminRoutes* routes);
  ~AdminListener() override;
  Result<net::Address> listen(const net::Address& address) { return inbound_.listen(address); }
  void on_request(http::InboundExchange& exchange) override;

 private:
  class Call;
  void over(Call& call);

  Authenticator& authenticator_;
  GatewayMetrics& metrics_;
  EngineRegistration& registration_;
  AdminRoutes* routes_;
  net::EventLoop& loop_;
  std::unordered_map<Call*, std::unique_ptr<Call>> calls_;
  http::Inbound inbound_;  // last: no call arrives at what is already gone
};

}  // namespace flexpert::gateway
