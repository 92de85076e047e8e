#include "gateway/gateway.h"

#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "flexpert/commands.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/exit_codes.h"
#include "flexpert/log_setup.h"

namespace flexpert::app {

namespace {

Result<void> serve_gateway(const GatewayOptions& options) {
  FLEXPERT_ASSIGN(config::FleetConfig config, config::load_file(options.config));
  if (!options.controller.empty()) config.gateway.controller = options.controller;
  if (!options.internal_secret_file.empty()) config.access.internal_secret_file = options.internal_secret_file;
  if (!options.metrics_listen.empty()) config.gateway.listeners.metrics = options.metrics_listen;
  if (options.drain_deadline_s > 0) config.shutdown_deadline_s = options.drain_deadline_s;
  const SystemClock clock;
  telemetry::Registry metrics;
  net::EventLoop loop;
  std::unique_ptr<gateway::Gateway> gateway;
  const DrainOnSignal on_signal(
      loop, [&] { gateway->drain(from_seconds(config.shutdown_deadline_s), [&loop] { loop.stop(); }); }, [&] { gateway->reload(); });
  FLEXPERT_ASSIGN(gateway, gateway::Gateway::create(loop, config, metrics, clock));
  // The first address is its name in reports: a replica's own one comes before the one that all share.
  std::optional<net::Address> probes;
  net::Address address;
  if (options.listen_fd > 0) {
    FLEXPERT_ASSIGN(probes, gateway->listen_for_probes());
    FLEXPERT_ASSIGN(address, gateway->listen_on(net::UniqueFd(static_cast<int>(options.listen_fd))));
  } else {
    FLEXPERT_ASSIGN(address, gateway->listen());
    FLEXPERT_ASSIGN(probes, gateway->listen_for_probes());
  }
  if (!options.also_listen.empty()) {
    FLEXPERT_ASSIGN(const net::Address also, net::Address::parse(options.also_listen));
    if (auto bound = gateway->listen(also); !bound) return fail(bound.error().with_context("--also-listen"));
  }
  FLEXPERT_ASSIGN(const std::optional<net::Address> admin, gateway->listen_for_admin(nullptr));
  const bool tls = config.gateway.listeners.tls && !address.is_unix;
  fmt::print("gateway listening on {}://{}\n", tls ? "https" : "http", address.to_string());
  if (probes) fmt::print("metrics on http://{}\n", probes->to_string());
  if (admin) fmt::print("admin on http://{}\n", admin->to_string());
  std::fflush(stdout);
  loop.run();
  return {};
}

}  // namespace

int run_gateway(const GatewayOptions& options) {
  configure_log(options.log_level, "gateway");
  if (auto served = serve_gateway(options); !served) return fail_with("gateway", served.error());
  return kExitOk;
}

}  // namespace flexpert::app
