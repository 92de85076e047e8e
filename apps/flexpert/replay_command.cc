#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "codec/journal_records.h"
#include "codec/pool_snapshot_json.h"
#include "codec/scale_plan_json.h"
#include "config/fleet_config.h"
#include "flexpert/described_command.h"
#include "flexpert/exit_codes.h"
#include "scaling/pool_planner.h"
#include "store/plan_journal.h"

namespace flexpert::app {
namespace {

struct ReplayOptions {
  std::string journal;
  std::uint32_t show = 0;
  bool json = false;
};

struct Outcome {
  std::uint64_t starts = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t cycles = 0;
  std::uint64_t identical = 0;
  std::uint64_t states = 0;  ///< checkpoints whose state the replayed planner has, bit for bit
  std::string first_difference;
};

/// Runs the cycles of a journal again, from each start on.
class Replay {
 public:
  [[nodiscard]] const Outcome& outcome() const { return outcome_; }

  Result<void> take(const store::PlanRow& row) {
    if (row.kind == "start") return begin(row);
    if (row.kind == "checkpoint") return check(row);
    return plan(row);
  }

 private:
  Result<void> begin(const store::PlanRow& row) {
    FLEXPERT_ASSIGN(const codec::JournalStart start, codec::decode_journal_start(row.record));
    FLEXPERT_ASSIGN(const config::FleetConfig config, config::parse(start.config_text, start.config_source));
    if (!config.pools) return fail(ErrorCode::kDataLoss, "row {}: its configuration has no pools", row.id);
    FLEXPERT_ASSIGN(planner_, scaling::PoolPlanner::create(config.pools->planner));
    if (!start.planner_state.empty())
      if (const auto restored = planner_->restore(start.planner_state); !restored)
        return fail(restored.error().with_context(fmt::format("row {}, written by flexpert {} (this is {})", row.id, start.version, FLEXPERT_VERSION)));
    config_ = row.config;
    ++outcome_.starts;
    return {};
  }

  /// A checkpoint is where a journal begins whose older rows are gone, or else a look at the whole state.
  Result<void> check(const store::PlanRow& row) {
    if (planner_ == nullptr || config_ != row.config) {
      FLEXPERT_TRY(begin(row));
      --outcome_.starts;
      ++outcome_.checkpoints;
      ++outcome_.states;
      return {};
    }
    FLEXPERT_ASSIGN(const codec::JournalStart start, codec::decode_journal_start(row.record));
    ++outcome_.checkpoints;
    if (planner_->save() == start.planner_state) ++outcome_.states;
    else if (outcome_.first_difference.empty()) outcome_.first_difference = fmt::format("row {}: the planner's state differs at a checkpoint", row.id);
    return {};
  }

  Result<void> plan(const store::PlanRow& row) {
    if (planner_ == nullptr) return fail(ErrorCode::kDataLoss, "row {}: a cycle before any start", row.id);
    const auto read = codec::decode_pools_snapshot(row.record);
    if (!read) return fail(read.error().with_context(fmt::format("row {}", row.id)));
    const PoolsSnapshot& snapshot = *read;
    const ScalePlan plan = planner_->plan(snapshot);
    if (row.kind == "dry_cycle") planner_->note_not_acted();
    ++outcome_.cycles;
    if (codec::encode(plan) == row.plan) {
      ++outcome_.identical;
      return {};
    }
    if (!outcome_.first_difference.empty()) return {};
    const auto written = codec::decode_scale_plan(row.plan);
    if (!written) return fail(written.error().with_context(fmt::format("row {}", row.id)));
    outcome_.first_difference = difference(snapshot.cycle, *written, plan);
    return {};
  }

  static std::string difference(std::uint64_t cycle, const ScalePlan& written, const ScalePlan& replayed) {
    for (std::size_t i = 0; i < written.pools.size() && i < replayed.pools.size(); ++i) {
      const std::string before = codec::encode(written.pools[i]);
      const std::string now = codec::encode(replayed.pools[i]);
      if (before != now) return fmt::format("cycle {}, pool {}:\n  written  {}\n  replayed {}", cycle, written.pools[i].pool, before, now);
    }
    return fmt::format("cycle {}:\n  written  {}\n  replayed {}", cycle, codec::encode(written), codec::encode(replayed));
  }

  std::unique_ptr<scaling::PoolPlanner> planner_;
  std::string config_;
  Outcome outcome_;
};

Result<void> show_snapshot(store::PlanJournal& journal, std::uint32_t cycle) {
  bool found = false;
  FLEXPERT_TRY(journal.for_each([&](const store::PlanRow& row) {
    if (row.plan.empty()) return true;
    const auto snapshot = codec::decode_pools_snapshot(row.record);
    found = snapshot && snapshot->cycle == cycle;
    if (found) fmt::print("{}\n", row.record);
    return !found;
  }));
  if (!found) return fail(ErrorCode::kNotFound, "the journal has no cycle {}", cycle);
  return {};
}

Result<bool> replay(const ReplayOptions& options) {
  FLEXPERT_ASSIGN(const auto journal, store::PlanJournal::open_existing(options.journal));
  if (options.show > 0) {
    FLEXPERT_TRY(show_snapshot(*journal, options.show));
    return true;
  }
  Replay replay;
  Result<void> taken;
  FLEXPERT_TRY(journal->for_each([&](const store::PlanRow& row) {
    taken = replay.take(row);
    return taken.has_value();
  }));
  FLEXPERT_TRY(std::move(taken));
  const Outcome& out = replay.outcome();
  const bool same = out.identical == out.cycles && out.states == out.checkpoints;
  if (options.json) {
    fmt::print("{{\"starts\":{},\"checkpoints\":{},\"same_states\":{},\"cycles\":{},\"identical\":{}}}\n", out.starts, out.checkpoints, out.states,
               out.cycles, out.identical);
  } else {
    fmt::print("starts {}  checkpoints {} (same state {})  cycles {}  identical {}\n", out.starts, out.checkpoints, out.states, out.cycles, out.identical);
  }
  if (!out.first_difference.empty()) fmt::print("first difference: {}\n", out.first_difference);
  if (out.cycles == 0) return fail(ErrorCode::kNotFound, "the journal has no cycles: {}", options.journal);
  return same;
}

int run_replay(const ReplayOptions& options) {
  const auto same = replay(options);
  if (!same) return fail_with("replay", same.error());
  return *same ? kExitOk : kExitFailure;
}

}  // namespace

DescribedCommand replay_command() {
  auto options = std::make_shared<ReplayOptions>();
  DescribedCommand command;
  command.name = "replay";
  command.help = "Plan the cycles of a controller's journal again, and compare every plan bit for bit";
  command.examples =
      "Examples:\n  flexpert replay /run/flexpert/flexpert.db\n  flexpert replay flexpert.db --show 120 > snapshot.json\n"
      "Exit code 0 only if every plan is identical.";
  command.arguments = {argument::required(argument::text("journal", options->journal, "the controller's journal", "FILE")),
                       argument::count("--show", options->show, 1, 4294967295.0, "print what cycle N was planned from, for flexpert plan, and stop"),
                       argument::flag("--json", options->json, "print the counts as JSON")};
  command.run = [options] { return run_replay(*options); };
  return command;
}

}  // namespace flexpert::app
