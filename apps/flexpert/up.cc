#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "flexpert/commands.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/embedded_fleet.h"
#include "flexpert/exit_codes.h"
#include "flexpert/log_setup.h"

namespace flexpert::app {

namespace {

constexpr Duration kReadyTimeout = Seconds(330);

void print_ready(const EmbeddedFleet& fleet) {
  const bool tls = fleet.config().gateway.listeners.tls && !fleet.gateway_address().is_unix;
  std::string line = fmt::format("ready: {}://{}", tls ? "https" : "http", fleet.gateway_address().to_string());
  if (fleet.metrics_address()) line += fmt::format("  metrics http://{}", fleet.metrics_address()->to_string());
  if (fleet.controller_address()) line += fmt::format("  controller http://{}", fleet.controller_address()->to_string());
  if (fleet.config().model) line += fmt::format("  model {}", fleet.config().model->name);
  if (fleet.config().controller.dry_run) line += "  dry-run";
  fmt::print("{}  pid {}  runtime {}\n", line, getpid(), fleet.folder().path());
  std::fflush(stdout);
}

Result<void> run_fleet(const UpOptions& options) {
  FLEXPERT_ASSIGN(config::FleetConfig config, config::load_file(options.config));
  config.controller.dry_run = config.controller.dry_run || options.dry_run;
  FLEXPERT_ASSIGN(PreparedFleet prepared, prepare_fleet(std::move(config), options.config));
  net::EventLoop loop;
  std::unique_ptr<EmbeddedFleet> fleet;
  Result<void> outcome;
  const DrainOnSignal on_signal(
      loop, [&] { fleet->shutdown(loop, [&loop] { loop.stop(); }); }, [&] { fleet->reload(); });
  FLEXPERT_ASSIGN(fleet, EmbeddedFleet::start(std::move(prepared), options.config));
  fleet->when_ready(loop, kReadyTimeout, [&](Result<void> ready) {
    if (ready) return print_ready(*fleet);
    outcome = std::move(ready);
    loop.stop();
  });
  loop.run();
  return outcome;
}

}  // namespace

int run_up(const UpOptions& options) {
  configure_log(options.log_level, "up");
  if (auto ran = run_fleet(options); !ran) return fail_with("up", ran.error());
  return kExitOk;
}

}  // namespace flexpert::app
