#include "flexpert/place_modes.h"

#include <algorithm>
#include <cmath>

#include "flexpert/place_cost.h"
#include "placement/balance.h"
#include "placement/eplb.h"
#include "placement/incremental.h"
#include "placement/moves.h"
#include "placement/quality.h"

namespace flexpert::app {

namespace {

bool limits_moves(const PlaceOptions& o) { return o.max_moves || o.max_moves_percent || o.max_bytes; }
bool differs_in_speed(const PlaceOptions& o) { return !o.cluster.speeds.empty() || !o.cluster.speed_of.empty(); }

Result<PlacementPlan> plan_exact(const PlanProblem& problem, const PlaceOptions& options) {
  const ExpertCluster& cluster = problem.cluster;
  for (const ExpertDevice& device : cluster.devices)
    if (!device.alive || device.slots != cluster.devices[0].slots || device.speed != 1)
      return fail(ErrorCode::kInvalidArgument,
                  "--mode exact plans for living devices that are alike, as DeepSeek EPLB does; use --mode quality or robust");
  const placement::EplbShape shape{cluster.slots(), options.groups, cluster.nodes(), static_cast<std::uint32_t>(cluster.devices.size())};
  PlacementPlan plan;
  FLEXPERT_ASSIGN(plan.layout, placement::plan_eplb(problem.counts, shape));
  plan.mode = "exact";
  plan.balance = placement::balance_of(plan.layout, cluster, problem.counts);
  return plan;
}

Result<PlacementPlan> plan_within_budget(const PlanProblem& problem, const PlaceOptions& o) {
  placement::MoveBudget budget;
  budget.bytes_per_expert = o.bytes_per_expert;
  if (o.max_moves) budget.slots = *o.max_moves;
  if (o.max_bytes) budget.bytes = *o.max_bytes;
  if (o.max_moves_percent) {
    const double slots = static_cast<double>(problem.cluster.slots()) * problem.counts.geometry.layers;
    budget.slots = std::min(budget.slots, static_cast<std::uint64_t>(std::floor(slots * *o.max_moves_percent / 100 + 1e-9)));
  }
  FLEXPERT_ASSIGN(const std::optional<placement::StepCost> cost, read_step_cost(o.cost));
  if (!cost) return placement::plan_incremental(problem.counts, problem.cluster, *problem.current, budget);
  constexpr double kBytesPerMs = 1e6;  // of 1 GB/s
  placement::Worth worth{.cost = &*cost, .tokens_per_device = *o.tokens_per_device, .steps = o.steps, .least_gain = o.least_gain};
  worth.bytes_per_ms_same_node = o.node_gb_per_s.value_or(0) * kBytesPerMs;
  worth.bytes_per_ms_cross_node = o.cross_gb_per_s.value_or(0) * kBytesPerMs;
  return placement::plan_incremental(problem.counts, problem.cluster, *problem.current, budget, worth);
}

Result<PlanAnswer> plan_cases(const PlanProblem& problem, const PlaceOptions& o, bool semi) {
  placement::RobustProblem robust;
  robust.cases = problem.cases;
  if (robust.cases.empty()) robust.cases.push_back({"counts", problem.counts, 1});
  robust.cluster = problem.cluster;
  robust.objective = o.objective == "worst" ? placement::CaseObjective::kWorst : placement::CaseObjective::kWeightedMean;
  if (semi) robust.affinity = placement::Affinity{o.groups, o.affinity.value_or(0.1)};
  robust.current = problem.current;
  FLEXPERT_ASSIGN(placement::RobustPlan made, placement::plan_robust(robust));
  PlanAnswer answer;
  for (std::size_t i = 0; i < made.by_case.size(); ++i) answer.by_case.emplace_back(robust.cases[i].name, made.by_case[i]);
  answer.plan = std::move(made.plan);
  if (semi) answer.cross_node_share = made.cross_node_share;
  return answer;
}

/// Keeps the layout in force if the plan is not better by `least`.
void keep_unless(double least, const PlanProblem& problem, PlacementPlan& plan) {
  const double gain = plan.balance.balancedness - plan.before.balancedness;
  if (gain >= least || plan.moves.changed() == 0) return;
  plan.layout = *problem.current;
  plan.balance = plan.before;
  plan.moves = placement::moves_between(plan.layout, plan.layout, problem.cluster);
  plan.worthwhile = false;
  plan.reasons = {{"within_tolerance",
                   fmt::format("a gain of {:.4f} in balancedness is below --least-gain {}", gain, least),
                   {{"gain", gain}, {"least_gain", least}}}};
}

}  // namespace

std::string mode_of(const PlaceOptions& o) {
  if (!o.mode.empty()) return o.mode;
  if (!o.cases.empty() || o.each_window || differs_in_speed(o)) return "robust";
  return o.current.empty() ? "quality" : "incremental";
}

std::string plan_misuse(const PlaceOptions& o) {
  const std::string mode = mode_of(o);
  if (mode == "incremental" && o.current.empty()) return "--mode incremental needs the layout in force: --current LAYOUT";
  if (limits_moves(o) && o.current.empty())
    return "--max-moves, --max-moves-percent and --max-bytes limit changes of a layout in force: name it with --current LAYOUT";
  if (limits_moves(o) && mode != "incremental")
    return "--max-moves, --max-moves-percent and --max-bytes need --mode incremental, not " + mode;
  if (o.max_bytes && o.bytes_per_expert == 0) return "--max-bytes needs the weights of one expert: --bytes-per-expert BYTES";
  if (!o.cases.empty() && mode != "robust" && mode != "semi") return "--case needs --mode robust or semi, not " + mode;
  if (o.each_window && mode != "robust" && mode != "semi") return "--each-window needs --mode robust or semi, not " + mode;
  if (differs_in_speed(o) && mode != "robust" && mode != "semi") return "--speeds needs --mode robust or semi, not " + mode;
  if (o.cost != "none" && mode != "incremental") return "--cost weighs the moves of --mode incremental, not " + mode;
  if (o.cost != "none" && !o.tokens_per_device) return "--cost needs the tokens of a step on one device: --tokens-per-device N";
  if ((o.node_gb_per_s || o.cross_gb_per_s) && o.cost == "none")
    return "--node-gb-per-s and --cross-gb-per-s need --cost: without it moves are free";
  if ((o.node_gb_per_s || o.cross_gb_per_s) && o.bytes_per_expert == 0)
    return "--node-gb-per-s and --cross-gb-per-s need --bytes-per-expert BYTES";
  if (o.tokens_per_device && o.cost == "none") return "--tokens-per-device goes with --cost, such as --cost deepseek-v3-decode";
  if (o.least_gain > 0 && o.current.empty()) return "--least-gain compares with the layout in force: name it with --current LAYOUT";
  if (o.affinity && mode != "semi") return "--affinity needs --mode semi, not " + mode;
  if (mode == "semi" && o.groups == 1) return "--mode semi needs the groups of experts that belong together: --groups N";
  if (o.groups != 1 && mode != "exact" && mode != "semi") return "--groups is heeded by --mode exact and semi, not " + mode;
  if (!o.format.empty() && o.output.empty()) return "--format is that of the file of -o: name it";
  if (o.json && o.output == "-") return "--json and -o - both write to stdout: give one of them";
  return {};
}

Result<PlanAnswer> make_plan(const PlanProblem& problem, const PlaceOptions& options) {
  const std::string mode = mode_of(options);
  PlanAnswer answer;
  if (mode == "exact") {
    FLEXPERT_ASSIGN(answer.plan, plan_exact(problem, options));
  } else if (mode == "incremental") {
    FLEXPERT_ASSIGN(answer.plan, plan_within_budget(problem, options));
  } else if (mode == "quality") {
    FLEXPERT_ASSIGN(answer.plan, placement::plan_quality(problem.counts, problem.cluster));
  } else {
    FLEXPERT_ASSIGN(answer, plan_cases(problem, options, mode == "semi"));
  }
  PlacementPlan& plan = answer.plan;
  if (problem.current && mode != "incremental") {
    plan.before = placement::balance_of(*problem.current, problem.cluster, problem.counts);
    if (mode == "quality") placement::align_slots(*problem.current, plan.layout);
    plan.moves = placement::moves_between(*problem.current, plan.layout, problem.cluster, options.bytes_per_expert);
  }
  if (problem.current && options.cost == "none" && options.least_gain > 0) keep_unless(options.least_gain, problem, plan);
  return answer;
}

}  // namespace flexpert::app
