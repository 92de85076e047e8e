#include "placement/robust.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "placement/affinity.h"
#include "placement/balance.h"
#include "placement/layer_packing.h"
#include "placement/layout_check.h"
#include "placement/moves.h"
#include "placement/robust_search.h"
#include "placement/robust_start.h"

namespace flexpert::placement {
namespace {

/// A layer's row that could be taken, and how good it is.
struct Candidate {
  std::vector<std::int32_t> row;
  double value = 0;
  int faults = 0;
};

/// A layer of this value needs no second start.
constexpr double kEvenEnough = 0.97;
/// The search looks at every pair of slots, and LayerPacking keeps experts x devices bits.
constexpr std::uint32_t kMostExperts = 4096;
/// What a layer must gain for its slots to change.
constexpr double kWorthMoving = 5e-4;
/// What a fresh layer must be better by than one that grew out of the layout in force.
constexpr double kWorthStartingAfresh = 1e-2;

Result<void> check(const RobustProblem& problem) {
  if (problem.cases.empty()) return fail(ErrorCode::kInvalidArgument, "robust plan: needs at least one load case");
  FLEXPERT_TRY(validate(problem.cluster));
  const ExpertGeometry geometry = problem.cases.front().counts.geometry;
  for (const LoadCase& load : problem.cases) {
    if (auto valid = validate(load.counts); !valid) return fail(valid.error().with_context(fmt::format("load case \"{}\"", load.name)));
    if (load.counts.geometry != geometry)
      return fail(ErrorCode::kInvalidArgument,
                  "load case \"{}\" has {} layers x {} experts, the first case {} x {}: all need the same model", load.name,
                  load.counts.geometry.layers, load.counts.geometry.experts, geometry.layers, geometry.experts);
    if (!std::isfinite(load.weight) || load.weight <= 0)
      return fail(ErrorCode::kInvalidArgument, "load case \"{}\": weight must be a number over 0: {}", load.name, load.weight);
  }
  if (geometry.experts > kMostExperts)
    return fail(ErrorCode::kInvalidArgument, "robust plan: at most {} experts a layer: {}", kMostExperts, geometry.experts);
  std::uint64_t living = 0;
  for (const ExpertDevice& device : problem.cluster.devices)
    if (device.alive) living += device.slots;
  if (living < geometry.experts)
    return fail(ErrorCode::kFailedPrecondition,
                "fewer living slots than experts: {} slots, {} experts: add slots or devices, or let replan_after_loss() serve what fits",
                living, geometry.experts);
  if (problem.affinity) {
    const Affinity& affinity = *problem.affinity;
    if (affinity.groups == 0 || geometry.experts % affinity.groups != 0)
      return fail(ErrorCode::kInvalidArgument, "affinity: groups must divide the experts: {} groups, {} experts", affinity.groups,
                  geometry.experts);
    if (!std::isfinite(affinity.weight) || affinity.weight < 0)
      return fail(ErrorCode::kInvalidArgument, "affinity: weight must be a number of 0 or more: {}", affinity.weight);
  }
  if (problem.current) FLEXPERT_TRY(check_in_force(*problem.current, problem.cluster, geometry));
  return {};
}

/// The weighted mean of the cases, each scaled to the mean number of tokens.
ExpertCounts combine(const RobustProblem& problem) {
  ExpertCounts out{problem.cases.front().counts.geometry, {}, 0};
  out.count.assign(out.geometry.size(), 0.0);
  double weights = 0;
  double mean_total = 0;
  std::vector<double> totals;
  for (const LoadCase& load : problem.cases) {
    totals.push_back(std::accumulate(load.counts.count.begin(), load.counts.count.end(), 0.0));
    mean_total += totals.back() / static_cast<double>(problem.cases.size());
    weights += load.weight;
  }
  for (std::size_t c = 0; c < totals.size(); ++c) {
    if (totals[c] < kLeastLoad) continue;
    const double scale = problem.cases[c].weight / weights * mean_total / totals[c];
    for (std::size_t i = 0; i < out.count.size(); ++i) out.count[i] += scale * problem.cases[c].counts.count[i];
  }
  return out;
}

/// Plans layer by layer.
class RobustPlanner {
 public:
  RobustPlanner(const RobustProblem& problem, const ExpertCounts& combined)
      : problem_(problem),
        combined_(combined),
        goal_(goal_of(problem)),
        state_(goal_, combined.geometry.experts),
        packing_(problem.cluster, combined.geometry.experts),
        loads_(problem.cases.size()) {}

  std::vector<std::int32_t> layer(std::uint32_t index) {
    for (std::size_t c = 0; c < loads_.size(); ++c) loads_[c] = problem_.cases[c].counts.layer(index);
    std::optional<Candidate> best;
    if (problem_.current) {
      begin(problem_.affinity ? homes_of(problem_.current->layer(index), combined_.layer(index), problem_.cluster, groups()) : Homes{});
      const std::vector<std::int32_t> start = repaired_start(state_, problem_.current->layer(index));
      state_.place(start);
      best = Candidate{start, state_.value(), state_.faults()};
      Candidate moved = search(start, {.first_log2 = 6, .least_gain = 2e-4});
      if (moved.faults < best->faults || moved.value > best->value + kWorthMoving) best = std::move(moved);
    }
    const Homes homes = problem_.affinity ? packed_homes(index) : Homes{};
    begin(homes);
    const auto offer = [&](const std::vector<std::int32_t>& start) {
      // A packing of the mean of the cases is where one case's search ends, but for its hosts.
      Candidate found =
          search(start, {.first_log2 = problem_.cases.size() == 1 && goal_.affinity_weight <= 0 && !goal_.may_leave_empty ? 6 : 4});
      const double worth = best && problem_.current ? kWorthStartingAfresh : 1e-9;
      if (!best || found.faults < best->faults || (found.faults == best->faults && found.value > best->value + worth))
        best = std::move(found);
    };
    std::vector<std::int32_t> start;
    if (goal_.affinity_weight > 0) start = home_start(state_, by_expert(homes));
    if (!start.empty()) offer(start);
    // Where one group is most of a layer's load, no small step leads out of its node: a start without homes does.
    const std::uint32_t experts = combined_.geometry.experts;
    if (start.empty() || best->value < kEvenEnough) offer(packed_start(index, packing_.room()));
    // On unlike devices a large or slow one may be better off with slots empty.
    for (std::uint32_t left = packing_.room() - experts; goal_.may_leave_empty && best->value < kEvenEnough && left > 0;) {
      left /= 2;
      offer(packed_start(index, experts + left));
    }
    return std::move(best->row);
  }

 private:
  using Homes = std::vector<std::uint32_t>;

  static RobustGoal goal_of(const RobustProblem& problem) {
    RobustGoal goal{&problem.cluster, {}, problem.objective, problem.spread_hosts, problem.affinity ? problem.affinity->weight : 0, false};
    const ExpertDevice* first = nullptr;
    for (const ExpertDevice& device : problem.cluster.devices) {
      if (!device.alive) continue;
      if (first == nullptr) first = &device;
      goal.may_leave_empty |= device.slots != first->slots || device.speed != first->speed;
    }
    double weights = 0;
    for (const LoadCase& load : problem.cases) weights += load.weight;
    for (const LoadCase& load : problem.cases) goal.case_weight.push_back(load.weight / weights);
    return goal;
  }

  [[nodiscard]] std::uint32_t groups() const { return problem_.affinity->groups; }

  [[nodiscard]] Homes packed_homes(std::uint32_t index) const {
    const auto load = combined_.layer(index);
    const std::size_t experts_per_group = load.size() / groups();
    std::vector<double> group_load(groups(), 0.0);
    for (std::size_t e = 0; e < load.size(); ++e) group_load[e / experts_per_group] += load[e];
    return assign_homes(group_load, static_cast<std::uint32_t>(experts_per_group), problem_.cluster);
  }

  [[nodiscard]] Homes by_expert(const Homes& homes) const {
    Homes out;
    for (const std::uint32_t home : homes) out.insert(out.end(), combined_.geometry.experts / homes.size(), home);
    return out;
  }

  std::vector<std::int32_t> packed_start(std::uint32_t index, std::uint32_t replicas) {
    std::vector<std::int32_t> out(state_.slots());
    packing_.plan(combined_.layer(index), replicas, out);
    return out;
  }

  void begin(const Homes& homes) { state_.begin(loads_, by_expert(homes)); }

  Candidate search(const std::vector<std::int32_t>& start, const RobustEffort& effort) {
    state_.place(start);
    improve(state_, effort);
    return {{state_.row().begin(), state_.row().end()}, state_.value(), state_.faults()};
  }

  const RobustProblem& problem_;
  const ExpertCounts& combined_;
  RobustGoal goal_;
  RobustState state_;
  LayerPacking packing_;
  std::vector<std::span<const double>> loads_;
};

/// Experts whose replicas all sit on one host although they have two or more.
std::uint64_t on_one_host(const ExpertLayout& layout, const ExpertCluster& cluster) {
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  std::uint64_t out = 0;
  std::vector<std::uint32_t> replicas(layout.geometry.experts);
  std::vector<std::uint32_t> host(layout.geometry.experts);
  std::vector<bool> several(layout.geometry.experts);
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    std::fill(replicas.begin(), replicas.end(), 0U);
    std::fill(several.begin(), several.end(), false);
    const auto row = layout.layer(l);
    for (std::size_t slot = 0; slot < row.size(); ++slot) {
      if (row[slot] == kEmptySlot) continue;
      const auto expert = static_cast<std::size_t>(row[slot]);
      const std::uint32_t at = cluster.devices[device_of[slot]].host;
      if (replicas[expert]++ > 0 && host[expert] != at) several[expert] = true;
      host[expert] = at;
    }
    for (std::size_t e = 0; e < replicas.size(); ++e)
      if (replicas[e] > 1 && !several[e]) ++out;
  }
  return out;
}

std::vector<Reason> reasons_of(const RobustProblem& problem, const RobustPlan& made) {
  std::vector<Reason> out;
  double lowest = 1;
  std::size_t lowest_case = 0;
  for (std::size_t c = 0; c < made.by_case.size(); ++c)
    if (made.by_case[c].balancedness < lowest) lowest = made.by_case[c].balancedness, lowest_case = c;
  const bool worst = problem.objective == CaseObjective::kWorst;
  out.push_back({"load_cases",
                 fmt::format("planned for {} load case{}, {}; the least even is \"{}\" with balancedness {:.3f}", problem.cases.size(),
                             problem.cases.size() == 1 ? "" : "s", worst ? "for the worst of them" : "by their weights",
                             problem.cases[lowest_case].name, lowest),
                 {{"cases", static_cast<double>(problem.cases.size())}, {"lowest_balancedness", lowest}}});
  const auto dead =
      std::count_if(problem.cluster.devices.begin(), problem.cluster.devices.end(), [](const ExpertDevice& d) { return !d.alive; });
  if (dead > 0)
    out.push_back({"dead_devices", fmt::format("{} of {} devices are dead: their slots stay empty", dead, problem.cluster.devices.size()),
                   {{"dead", static_cast<double>(dead)}}});
  if (problem.spread_hosts && problem.cluster.hosts() > 1) {
    const std::uint64_t together = on_one_host(made.plan.layout, problem.cluster);
    out.push_back({"host_spread",
                   together == 0
                       ? fmt::format("every expert with two replicas or more is on several of the {} hosts", problem.cluster.hosts())
                       : fmt::format("{} experts have all replicas on one host: no other has room for one", together),
                   {{"on_one_host", static_cast<double>(together)}, {"hosts", static_cast<double>(problem.cluster.hosts())}}});
  }
  if (problem.affinity)
    out.push_back(
        {"affinity",
         fmt::format(
             "{:.1f} % of the load is served outside its group's home node; a weight of {:g} gives up {:.4f} of balancedness to save 1 %",
             100 * made.cross_node_share, problem.affinity->weight, problem.affinity->weight / 100),
         {{"cross_node_share", made.cross_node_share},
          {"weight", problem.affinity->weight},
          {"groups", static_cast<double>(problem.affinity->groups)}}});
  if (problem.current)
    out.push_back(
        {"kept",
         fmt::format("{} of {} slots stay as they are", made.plan.moves.unchanged, made.plan.layout.expert_of_slot.size()),
         {{"unchanged", static_cast<double>(made.plan.moves.unchanged)}, {"changed", static_cast<double>(made.plan.moves.changed())}}});
  return out;
}

}  // namespace

Result<RobustPlan> plan_robust(const RobustProblem& problem) {
  FLEXPERT_TRY(check(problem));
  const ExpertCounts combined = combine(problem);
  RobustPlan out;
  out.plan.mode = problem.affinity ? "semi_hierarchical" : "robust";
  ExpertLayout& layout = out.plan.layout;
  layout.geometry = combined.geometry;
  for (const ExpertDevice& device : problem.cluster.devices) layout.slots_of_device.push_back(device.slots);
  RobustPlanner planner(problem, combined);
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    const std::vector<std::int32_t> row = planner.layer(l);
    layout.expert_of_slot.insert(layout.expert_of_slot.end(), row.begin(), row.end());
  }
  if (problem.current) {
    align_slots(*problem.current, layout);
    out.plan.before = balance_of(*problem.current, problem.cluster, combined);
    out.plan.moves = moves_between(*problem.current, layout, problem.cluster);
  }
  out.plan.balance = balance_of(layout, problem.cluster, combined);
  for (const LoadCase& load : problem.cases) out.by_case.push_back(balance_of(layout, problem.cluster, load.counts));
  if (problem.affinity) out.cross_node_share = node_traffic(layout, problem.cluster, combined, problem.affinity->groups).cross_node_share;
  out.plan.reasons = reasons_of(problem, out);
  return out;
}

}  // namespace flexpert::placement
