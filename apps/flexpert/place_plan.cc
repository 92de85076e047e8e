#include <boost/json.hpp>
#include <fmt/format.h>

#include "codec/number_array.h"
#include "flexpert/place.h"
#include "flexpert/place_cluster.h"
#include "flexpert/place_counts.h"
#include "flexpert/place_json.h"
#include "flexpert/place_layout.h"
#include "flexpert/place_modes.h"
#include "flexpert/place_outcome.h"
#include "flexpert/place_screen.h"
#include "flexpert/place_writer.h"
#include "report/placement_tables.h"

namespace flexpert::app {

namespace {

/// COUNTS as one load, or each of its windows.
Result<void> read_loads(const PlaceOptions& options, PlanProblem& problem) {
  if (!options.each_window) {
    FLEXPERT_ASSIGN(problem.counts, read_counts(options.counts, options));
    if (!options.cases.empty()) problem.cases.push_back({"counts", problem.counts, 1});
    return {};
  }
  FLEXPERT_ASSIGN(std::vector<ExpertCounts> windows, read_count_windows(options.counts, options));
  constexpr std::size_t kMostWindows = 256;
  if (windows.size() > kMostWindows)
    return fail(ErrorCode::kInvalidArgument, "--each-window: {} windows are more than {}; record longer ones: {}", windows.size(),
                kMostWindows, options.counts);
  FLEXPERT_ASSIGN(problem.counts, codec::sum_of(windows));
  for (std::size_t i = 0; i < windows.size(); ++i) problem.cases.push_back({fmt::format("window {}", i), std::move(windows[i]), 1});
  return {};
}

Result<PlanProblem> read_problem(const PlaceOptions& options) {
  PlanProblem problem;
  FLEXPERT_TRY(read_loads(options, problem));
  for (const PlaceCase& one : options.cases) {
    FLEXPERT_ASSIGN(ExpertCounts counts, read_counts(one.source, options));
    if (counts.geometry != problem.counts.geometry)
      return fail(ErrorCode::kInvalidArgument, "--case {} has {} layers x {} experts, the counts {} x {}: they must be of one model",
                  one.name, counts.geometry.layers, counts.geometry.experts, problem.counts.geometry.layers,
                  problem.counts.geometry.experts);
    problem.cases.push_back({one.name, std::move(counts), one.weight});
  }
  ClusterBasis basis{problem.counts.geometry};
  PlaceLayout current;
  if (!options.current.empty()) {
    FLEXPERT_ASSIGN(current, read_layout(options.current, options, problem.counts.geometry));
    basis.layout = &current.layout;
    if (current.cluster) basis.cluster = &*current.cluster;
  }
  FLEXPERT_ASSIGN(problem.cluster, cluster_of(options.cluster, basis));
  FLEXPERT_TRY(check_room(problem.cluster, basis.geometry));
  if (basis.layout == nullptr) return problem;
  const std::vector<std::uint32_t>& slots = current.layout.slots_of_device;
  if (slots.size() != problem.cluster.devices.size())
    return fail(ErrorCode::kInvalidArgument, "--current has {} devices, --devices says {}: leave --devices away to take those of {}",
                slots.size(), problem.cluster.devices.size(), current.name);
  for (std::size_t d = 0; d < slots.size(); ++d)
    if (slots[d] != problem.cluster.devices[d].slots)
      return fail(ErrorCode::kInvalidArgument,
                  "--current has {} slots on device {}, the command line says {}: leave --slots and --redundant away to take those of {}",
                  slots[d], d, problem.cluster.devices[d].slots, current.name);
  problem.current = std::move(current.layout);
  return problem;
}

void print_plan(const PlanProblem& problem, const PlanAnswer& answer, const std::optional<report::PlacementBefore>& before,
                const PlaceOptions& options) {
  const PlacementPlan& plan = answer.plan;
  say("{}\n{}\nmode {}\n\n", describe(problem.counts), describe(problem.cluster), plan.mode);
  print_table(report::balance_table(plan.balance, before ? &before->balance : nullptr, before ? before->name : ""));
  for (const auto& [name, balance] : answer.by_case)
    if (answer.by_case.size() > 1)
      say("case {}: balancedness {}, worst layer {}\n", name, report::balancedness_text(balance.balancedness),
          report::balancedness_text(balance.worst));
  if (answer.cross_node_share) say("load that leaves its group's node: {}\n", report::percent_text(*answer.cross_node_share));
  if (options.rows > 0) {
    print_title("Replicas of an expert of a layer");
    print_table(report::replicas_table(plan.layout));
    print_title("Least even layers");
    print_table(report::layers_table(plan.balance, std::min<std::uint32_t>(options.rows, 5)));
  }
  if (problem.current) {
    print_title("Moves");
    print_table(report::move_kinds_table(plan.moves));
    if (plan.moves.bytes > 0) say("{} travel\n", report::bytes_text(plan.moves.bytes));
  }
  if (!plan.reasons.empty()) print_title("Why");
  print_reasons(plan.reasons);
  if (!plan.worthwhile) say("The layout in force stays.\n");
}

void print_plan_json(const PlanProblem& problem, const PlanAnswer& answer, const std::optional<report::PlacementBefore>& before) {
  boost::json::object out{
      {"mode", answer.plan.mode}, {"worthwhile", answer.plan.worthwhile}, {"balance", balance_json(answer.plan.balance, true)}};
  if (before) out["before"] = {{"name", before->name}, {"balance", balance_json(before->balance, false)}};
  boost::json::object& cases = out["cases"].emplace_object();
  for (const auto& [name, balance] : answer.by_case) cases[name] = balance_json(balance, false);
  if (answer.cross_node_share) out["cross_node_share"] = *answer.cross_node_share;
  if (problem.current) out["moves"] = moves_json(answer.plan.moves, answer.plan.layout);
  out["reasons"] = reasons_json(answer.plan.reasons);
  out["slots_of_device"] = boost::json::value_from(answer.plan.layout.slots_of_device);
  boost::json::array& layers = out["physical_to_logical_map"].emplace_array();
  for (std::uint32_t l = 0; l < answer.plan.layout.geometry.layers; ++l) {
    const auto row = answer.plan.layout.layer(l);
    layers.emplace_back(boost::json::array(row.begin(), row.end()));
  }
  print_json(out);
}

Result<void> plan(const PlaceOptions& options) {
  FLEXPERT_ASSIGN(const PlanProblem problem, read_problem(options));
  FLEXPERT_ASSIGN(const PlanAnswer answer, make_plan(problem, options));
  const std::optional<report::PlacementBefore> before = layout_before(problem.current, problem.cluster, problem.counts);
  if (!options.output.empty())
    FLEXPERT_TRY(write_plan(options.output, options.format, answer.plan, problem.cluster, problem.counts, options));
  if (!options.html.empty()) {
    report::PlacementPage page{
        "Expert placement", {{"counts", options.counts + ": " + describe(problem.counts)}, {"cluster", describe(problem.cluster)}}, before};
    for (const auto& [name, balance] : answer.by_case)
      if (answer.by_case.size() > 1)
        page.facts.emplace_back("case " + name, "balancedness " + report::balancedness_text(balance.balancedness));
    FLEXPERT_TRY(write_page(options.html, answer.plan, problem.cluster, problem.counts, page));
  }
  if (options.json) {
    print_plan_json(problem, answer, before);
  } else if (options.output != "-" && options.html != "-") {
    print_plan(problem, answer, before, options);
    if (!options.output.empty()) say("\nplan: {}\n", options.output);
    if (!options.html.empty()) say("report: {}\n", options.html);
  }
  return {};
}

}  // namespace

int run_place_plan(const PlaceOptions& options) {
  if (const std::string misuse = plan_misuse(options); !misuse.empty()) return fail_with("place plan", misuse, kExitUsage);
  if (auto planned = plan(options); !planned) return fail_with("place plan", planned.error());
  return kExitOk;
}

}  // namespace flexpert::app
