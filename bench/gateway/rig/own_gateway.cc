#include <poll.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "rig/load.h"
#include "rig/proxy.h"
#include "rig/requests.h"
#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

/// Runs a command and returns what it printed, without the last newline.
Result<std::string> output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return fail(ErrorCode::kResourceExhausted, "cannot run: {}", command);
  std::string text;
  std::array<char, 512> buffer;
  while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), pipe) != nullptr) text += buffer.data();
  if (::pclose(pipe) != 0) return fail(ErrorCode::kInternal, "this failed: {}: {}", command, text);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

/// Waits until a request gets through: upstreams must have been found healthy.
Result<void> await_service(std::uint16_t port, const std::string& api_key) {
  const std::string request = chat_request({.body_bytes = 250, .api_key = api_key});
  std::string failure;
  for (int attempt = 0; attempt < 100; ++attempt) {
    Load load(port, 1);
    const LoadResult result = load.closed_loop(request, 1);
    if (result.completed == 1) return {};
    failure = result.first_failure;
    ::poll(nullptr, 0, 100);
  }
  return fail(ErrorCode::kUnavailable, "the gateway serves nothing: {}", failure);
}

}  // namespace

std::string gateway_policy(std::uint64_t requests_per_minute) {
  return fmt::format(R"(roles:
  user:
    models: [m]
  other:
    models: ["another-*"]
tenants:
  acme:
    requests_per_minute: {}
    tokens_per_minute: 900000000000
    concurrency: 1000000
    weight: 2
)",
                     requests_per_minute);
}

Result<GatewayUnderTest> start_gateway(const BenchFolder& folder, const std::string& program, const ProxySetting& setting,
                                       const GatewaySetting& gateway) {
  GatewayUnderTest under_test;
  const std::uint16_t port = free_port();
  under_test.metrics_port = free_port();
  under_test.policy_file = folder.write("policy.yaml", gateway_policy(900'000'000'000));
  const std::string place = folder.path().string();
  std::string upstreams;
  for (const std::uint16_t upstream : setting.upstreams) upstreams += fmt::format("  - url: http://127.0.0.1:{}\n    models: [m]\n", upstream);
  if (!upstreams.empty()) upstreams = "upstreams:\n" + upstreams;
  const std::string config = fmt::format(R"(gateway:
  listen: 127.0.0.1:{0}
  metrics_listen: 127.0.0.1:{1}
  log:
    access: {2}/access.log
    audit: {2}/audit.log
  routing:
    policy: power_of_two
{3}access:
  keys_file: {2}/keys.db
  pepper_file: {2}/pepper
  policy_file: {4}
{5})",
                                         port, under_test.metrics_port, place, gateway.extra_gateway, under_test.policy_file, upstreams);
  under_test.config_file = folder.write("gateway.yaml", config);
  FLEXPERT_ASSIGN(under_test.api_key, output_of(fmt::format("'{}' keys create -c '{}' --tenant acme --role user 2>>'{}/keys.log'", program,
                                                            under_test.config_file, place)));
  FLEXPERT_ASSIGN(under_test.proxy, Proxy::start("flexpert", {program, "gateway", "-c", under_test.config_file}, place + "/gateway.log", port, setting.core,
                                                 false));
  FLEXPERT_TRY(await_service(port, under_test.api_key));
  return under_test;
}

}  // namespace flexpert::bench
