#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rig/proxy.h"

namespace flexpert::bench {

/// What one tenant is given.
struct TenantSetting {
  std::string name;
  std::string policy = "{}";   ///< YAML of `tenants.NAME`
};

struct TenantGateway {
  std::unique_ptr<Proxy> proxy;
  std::vector<std::string> api_keys;  ///< one for each tenant, in order
};

/// Starts our gateway in front of `upstreams` with an API key for each tenant. `gateway_yaml`: further lines of `gateway:`, indented by
/// two.
Result<TenantGateway> start_tenant_gateway(const BenchFolder& folder, const std::string& program,
                                           const std::vector<std::uint16_t>& upstreams, const std::vector<TenantSetting>& tenants,
                                           const std::string& gateway_yaml);

}  // namespace flexpert::bench
