#include "overload/gateway_for_tenants.h"

#include <fmt/format.h>

#include "auth/api_key.h"
#include "base/base64url.h"
#include "config/key_records.h"
#include "crypto/hmac_key.h"
#include "crypto/secret_file.h"
#include "rig/sockets.h"

namespace flexpert::bench {

Result<TenantGateway> start_tenant_gateway(const BenchFolder& folder, const std::string& program,
                                           const std::vector<std::uint16_t>& upstreams, const std::vector<TenantSetting>& tenants,
                                           const std::string& gateway_yaml) {
  TenantGateway gateway;
  const std::string pepper_file = (folder.path() / "pepper").string();
  FLEXPERT_TRY(crypto::ensure_secret_file(pepper_file));
  FLEXPERT_ASSIGN(const std::string pepper, crypto::read_secret_file(pepper_file));
  const crypto::HmacKey pepper_key(pepper);
  std::string keys = "keys:\n";
  std::string policy = "roles:\n  user: {models: [m]}\ntenants:\n";
  for (std::size_t t = 0; t < tenants.size(); ++t) {
    const std::string text = std::string(auth::kApiKeyPrefix) + to_base64url(crypto::random_bytes(32));
    const auth::ApiKeyRecord record{.id = fmt::format("key_{:016}", t),
                                    .digest = pepper_key.sign(text),
                                    .name = tenants[t].name,
                                    .tenant = tenants[t].name,
                                    .roles = {"user"},
                                    .replaced_by = {}};
    keys += config::key_record_line(record) + "\n";
    policy += fmt::format("  {}: {}\n", tenants[t].name, tenants[t].policy);
    gateway.api_keys.push_back(text);
  }
  const std::uint16_t port = free_port();
  std::string config = fmt::format("gateway:\n  listen: 127.0.0.1:{}\n  metrics_listen: 127.0.0.1:0\n{}", port, gateway_yaml);
  config += fmt::format("access:\n  keys_yaml: {}\n  pepper_file: {}\n  policy_file: {}\n", folder.write("keys.yaml", keys), pepper_file,
                        folder.write("policy.yaml", policy));
  config += "upstreams:\n";
  for (const std::uint16_t upstream : upstreams) config += fmt::format("  - {{url: \"http://127.0.0.1:{}\", models: [m]}}\n", upstream);
  const std::string config_file = folder.write("gateway.yaml", config);
  FLEXPERT_ASSIGN(gateway.proxy, Proxy::start("flexpert", {program, "gateway", "-c", config_file}, (folder.path() / "gateway.log").string(),
                                              port, -1, false));
  return gateway;
}

}  // namespace flexpert::bench
