#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "config/fleet_config.h"
#include "flexpert/commands.h"
#include "flexpert/exit_codes.h"
#include "flexpert/fleet_api.h"
#include "flexpert/pool_status.h"
#include "flexpert/runtime_folder.h"
#include "report/fleet_tables.h"
#include "report/terminal.h"

namespace flexpert::app {

namespace {

Result<std::string> controller_address(const StatusOptions& options) {
  if (!options.address.empty()) return options.address;
  if (!options.config.empty()) {
    FLEXPERT_ASSIGN(const config::FleetConfig config, config::load_file(options.config));
    return config.controller.listen;
  }
  const std::vector<FleetState> fleets = find_running_fleets();
  if (fleets.empty()) return fail(ErrorCode::kNotFound, "no fleet runs here; start one with `flexpert up -c FILE`, or name its controller with --address HOST:PORT");
  if (fleets.size() > 1) {
    std::string addresses;
    for (const FleetState& fleet : fleets) addresses += fmt::format("{}{} (pid {})", addresses.empty() ? "" : ", ", fleet.controller, fleet.pid);
    return fail(ErrorCode::kFailedPrecondition, "several fleets run here; choose one with --address: {}", addresses);
  }
  return fleets.front().controller;
}

void print_fleet(const FleetStatus& status, const std::vector<Decision>& decisions, const report::Terminal& terminal, std::size_t width) {
  const FleetSnapshot& fleet = status.snapshot;
  if (!fleet.model.empty()) fmt::print("model {}{}{}\n\n", fleet.model, report::is_paced(fleet) ? ", paced" : "", status.dry_run ? ", dry-run" : "");
  fmt::print("{}\n", report::instance_table(fleet).text(width, terminal.colours));
  if (fleet.model.empty()) return;  // pools only: their plans follow
  if (fleet.experts.empty()) {
    fmt::print("No window of expert loads is full yet.\n\n");
  } else {
    fmt::print("Hottest experts; a replica carries {:.0f} rows/s ({})\n", fleet.replica_capacity_rows_per_s, fleet.capacity_source);
    fmt::print("{}\n", report::expert_table(report::hottest_experts(fleet, 10)).text(width, terminal.colours));
  }
  if (decisions.empty()) {
    fmt::print("No decision yet.\n");
    return;
  }
  fmt::print("Last decisions, newest first\n");
  for (const Decision& decision : decisions)
    fmt::print("{}\n", report::cut_to_width(fmt::format("#{:<6} {}", decision.cycle, report::summary(decision)), width));
}

Result<void> show(const StatusOptions& options) {
  FLEXPERT_ASSIGN(const std::string text, controller_address(options));
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(text));
  FLEXPERT_ASSIGN(const std::string body, fetch_body(address, "/api/v1/status"));
  if (options.json) {
    fmt::print("{}\n", body);
    return {};
  }
  FLEXPERT_ASSIGN(const FleetStatus status, parse_status(body));
  FLEXPERT_ASSIGN(const std::string journal, fetch_body(address, "/api/v1/decisions?limit=5"));
  FLEXPERT_ASSIGN(const std::vector<Decision> decisions, parse_decisions(journal));
  const report::Terminal terminal = report::Terminal::of(STDOUT_FILENO);
  const std::size_t width = terminal.interactive ? terminal.width : 1000;
  FLEXPERT_ASSIGN(const std::string pools, pool_status_text(body, width, terminal.colours));
  FLEXPERT_ASSIGN(const std::string plans, pool_plans_text(journal, width));
  if (!pools.empty()) fmt::print("{}\n", pools);
  print_fleet(status, decisions, terminal, width);
  if (!plans.empty()) fmt::print("Last plans, newest first\n{}", plans);
  return {};
}

}  // namespace

int run_status(const StatusOptions& options) {
  if (auto shown = show(options); !shown) return fail_with("status", shown.error());
  return kExitOk;
}

}  // namespace flexpert::app
