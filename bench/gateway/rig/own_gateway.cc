#include <fmt/format.h>

#include "rig/proxy.h"
#include "rig/requests.h"
#include "rig/sockets.h"

namespace flexpert::bench {

Result<GatewayUnderTest> start_gateway(const BenchFolder& folder, const std::string& program, const ProxySetting& setting,
                                       const GatewaySetting& gateway) {
  GatewayUnderTest under_test;
  const std::uint16_t port = free_port();
  std::string upstreams;
  for (const std::uint16_t upstream : setting.upstreams) upstreams += fmt::format("  - url: http://127.0.0.1:{}\n    models: [m]\n", upstream);
  const std::string config = fmt::format("gateway:\n  listen: 127.0.0.1:{}\n{}upstreams:\n{}", port, gateway.extra_gateway, upstreams);
  under_test.metrics_port = port;
  under_test.api_key = ChatRequest{}.api_key;
  under_test.config_file = folder.write("gateway.yaml", config);
  FLEXPERT_ASSIGN(under_test.proxy, Proxy::start("flexpert", {program, "gateway", "-c", under_test.config_file}, (folder.path() / "gateway.log").string(),
                                                 port, setting.core, false));
  return under_test;
}

}  // namespace flexpert::bench
