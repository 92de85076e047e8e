#pragma once

#include <functional>

#include "gateway/gateway_metrics.h"
#include "gateway/route_table.h"
#include "http/inbound.h"
#include "http/message.h"

namespace flexpert::gateway {

/// Answers /health, /ready and /metrics, on a listener that is not the clients'. Belongs to the loop's thread.
class ProbeListener final : public http::InboundAcceptor {
 public:
  using Answers = std::function<http::Response(Endpoint)>;

  ProbeListener(net::EventLoop& loop, GatewayMetrics& metrics, Answers answers);
  Result<net::Address> listen(const net::Address& address) { return inbound_.listen(address); }
  void on_request(http::InboundExchange& exchange) override;

 private:
  GatewayMetrics& metrics_;
  Answers answers_;
  http::Inbound inbound_;
};

}  // namespace flexpert::gateway
