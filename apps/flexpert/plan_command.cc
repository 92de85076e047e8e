#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

#include "codec/pool_snapshot_json.h"
#include "codec/scale_plan_json.h"
#include "config/fleet_config.h"
#include "flexpert/described_command.h"
#include "flexpert/exit_codes.h"
#include "flexpert/files.h"
#include "report/pool_tables.h"
#include "report/terminal.h"
#include "scaling/pool_planner.h"
#include "store/plan_journal.h"

namespace flexpert::app {
namespace {

struct PlanOptions {
  std::string snapshot;
  std::string config;
  std::string journal;
  bool json = false;
};

/// Without a configuration: the snapshot's own pools and limits, and what a pool has by default.
scaling::PlannerConfig default_config(const PoolsSnapshot& snapshot) {
  scaling::PlannerConfig config;
  config.gpu_budget = snapshot.gpu_budget;
  for (const PoolObservation& pool : snapshot.pools) {
    scaling::PoolConfig& one = config.pools.emplace_back();
    one.id = pool.pool;
    one.limits = pool.limits;
  }
  return config;
}

Result<void> plan(const PlanOptions& options) {
  FLEXPERT_ASSIGN(const std::string text, read_text_file(options.snapshot));
  auto decoded = codec::decode_pools_snapshot(text);
  if (!decoded) return fail(decoded.error().with_context(options.snapshot));
  const PoolsSnapshot snapshot = std::move(*decoded);
  scaling::PlannerConfig planner_config = default_config(snapshot);
  if (!options.config.empty()) {
    FLEXPERT_ASSIGN(const config::FleetConfig config, config::load_file(options.config));
    if (!config.pools) return fail(ErrorCode::kInvalidArgument, "configuration has no `pools:` section: {}", options.config);
    planner_config = config.pools->planner;
  }
  FLEXPERT_ASSIGN(const auto planner, scaling::PoolPlanner::create(std::move(planner_config)));
  if (!options.journal.empty()) {
    FLEXPERT_ASSIGN(const auto journal, store::PlanJournal::open_existing(options.journal));
    FLEXPERT_ASSIGN(const std::string state, journal->state("planner"));
    if (!state.empty()) FLEXPERT_TRY(planner->restore(state));
  }
  const ScalePlan made = planner->plan(snapshot);
  if (options.json) {
    fmt::print("{}\n", codec::encode(made));
    return {};
  }
  const report::Terminal terminal = report::Terminal::of(STDOUT_FILENO);
  const std::size_t width = terminal.interactive ? terminal.width : 1000;
  fmt::print("{}\n", report::pool_table(made).text(width, terminal.colours));
  for (const std::string& line : report::pool_explanations(made)) fmt::print("{}\n", report::cut_to_width(line, width));
  return {};
}

}  // namespace

DescribedCommand plan_command() {
  auto options = std::make_shared<PlanOptions>();
  DescribedCommand command;
  command.name = "plan";
  command.help = "Plan one cycle from a snapshot of pools, and say why";
  command.examples =
      "Examples:\n  flexpert plan --snapshot snapshot.json -c fleet.yaml\n  flexpert replay flexpert.db --show 120 > snapshot.json\n"
      "A snapshot is what a controller's journal holds of each cycle; see docs/reference/control-plane.md.";
  command.arguments = {argument::required(argument::text("--snapshot", options->snapshot, "JSON of a snapshot", "FILE")),
                       argument::text("-c,--config", options->config, "YAML file with the pools (default: the snapshot's, with default policies)", "FILE"),
                       argument::text("--journal", options->journal, "a controller's journal, to plan with what its planner remembers", "FILE"),
                       argument::flag("--json", options->json, "print the plan as JSON")};
  command.run = [options] {
    const auto planned = plan(*options);
    return planned ? kExitOk : fail_with("plan", planned.error());
  };
  return command;
}

}  // namespace flexpert::app
