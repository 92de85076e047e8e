// Plans within a budget of moves after a drift: how even they are, what they cost, and that the promises hold.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "figures.h"
#include "loads.h"
#include "placement/balance.h"
#include "placement/eplb.h"
#include "placement/incremental.h"
#include "placement/moves.h"
#include "placement/quality.h"

namespace flexpert::bench {
namespace {

struct Case {
  const char* name;
  ExpertGeometry geometry;
  std::uint32_t slots;
  std::uint32_t devices;
  double bar;  // 0: none, a figure only
};

constexpr Case kCases[] = {
    {"58x256_288_on_32", {58, 256}, 288, 32, 0.98},
    {"58x256_288_on_72", {58, 256}, 288, 72, 0.92},
    {"94x128_160_on_32", {94, 128}, 160, 32, 0.95},
    {"24x32_40_on_8", {24, 32}, 40, 8, 0},
};
constexpr std::uint64_t kSeeds = 4;
constexpr int kWindows = 24;
constexpr double kShare = 0.1;

struct Chain {
  double least_before = 1;  // balancedness of the plan in force under the next window's loads
  double first = 1;         // after the first drift of a plan from scratch, the least over seeds
  double least = 1;
  double mean = 0;
  double least_layer = 1;
  double most_share = 0;    // of slots changed
  double most_ms = 0;
  double storage = 0;       // share of the moves that no living copy serves
  double eplb = 0;
  double eplb_share = 0;
};

/// From a plan from scratch for the first window, re-plans for window after window, each time for `share` of the slots.
Result<Chain> run_chain(const Case& each, const DriftingLoads::Law& law, std::uint64_t seeds, double share) {
  const auto cluster = ExpertCluster::uniform(each.devices, each.devices / 8, each.slots / each.devices);
  const std::uint64_t all = static_cast<std::uint64_t>(each.slots) * each.geometry.layers;
  const placement::MoveBudget budget{.slots = static_cast<std::uint64_t>(share * static_cast<double>(all))};
  Chain out;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    DriftingLoads loads(each.geometry, seed, law);
    FLEXPERT_ASSIGN(const PlacementPlan scratch, placement::plan_quality(loads.next(), cluster));
    ExpertLayout layout = scratch.layout;
    for (int window = 1; window <= kWindows; ++window) {
      const ExpertCounts counts = loads.next();
      const double start = thread_cpu_ms();
      FLEXPERT_ASSIGN(PlacementPlan plan, placement::plan_incremental(counts, cluster, layout, budget));
      out.most_ms = std::max(out.most_ms, thread_cpu_ms() - start);
      out.least_before = std::min(out.least_before, plan.before.balancedness);
      out.least = std::min(out.least, plan.balance.balancedness);
      out.least_layer = std::min(out.least_layer, plan.balance.worst);
      out.mean += plan.balance.balancedness / static_cast<double>(seeds * kWindows);
      out.storage += static_cast<double>(plan.moves.load) / static_cast<double>(std::max<std::uint64_t>(plan.moves.changed(), 1)) /
                     static_cast<double>(seeds * kWindows);
      out.most_share = std::max(out.most_share, static_cast<double>(plan.moves.changed()) / static_cast<double>(all));
      if (window == 1) {
        out.first = std::min(out.first, plan.balance.balancedness);
        FLEXPERT_ASSIGN(const ExpertLayout eplb, placement::plan_eplb(counts, {each.slots, 1, 1, each.devices}));
        out.eplb += placement::balance_of(eplb, cluster, counts).balancedness / static_cast<double>(seeds);
        out.eplb_share += static_cast<double>(placement::moves_between(layout, eplb, cluster).changed()) / static_cast<double>(all * seeds);
      }
      layout = std::move(plan.layout);
    }
  }
  return out;
}

Result<void> measure_chains(Figures& figures) {
  for (const Case& each : kCases) {
    const std::string name = each.name;
    FLEXPERT_ASSIGN(const Chain chain, run_chain(each, {}, kSeeds, kShare));
    if (each.bar > 0) {
      figures.hold(name + ".after_first_drift", chain.first, "balancedness", fmt::format(">={}", each.bar), chain.first >= each.bar);
      figures.hold(name + ".worst_of_chain", chain.least, "balancedness", fmt::format(">={}", each.bar), chain.least >= each.bar);
      figures.hold(name + ".slots_changed", 100 * chain.most_share, "%", "<=10", chain.most_share <= kShare);
    } else {
      figures.note(name + ".worst_of_chain", chain.least, "balancedness");
    }
    figures.note(name + ".mean_of_chain", chain.mean, "balancedness");
    figures.note(name + ".worst_layer", chain.least_layer, "balancedness");
    figures.note(name + ".worst_before", chain.least_before, "balancedness");
    figures.note(name + ".from_storage", 100 * chain.storage, "% of moves");
    figures.note(name + ".most_ms", chain.most_ms, "ms");
    figures.note(name + ".eplb_balancedness", chain.eplb, "balancedness");
    figures.note(name + ".eplb_slots_changed", 100 * chain.eplb_share, "%");
    for (const double ar1 : {0.9, 0.8, 0.5, 0.0}) {
      FLEXPERT_ASSIGN(const Chain strong, run_chain(each, {.ar1 = ar1}, 1, kShare));
      figures.note(fmt::format("{}.drift_{}.worst_before", name, ar1), strong.least_before, "balancedness");
      figures.note(fmt::format("{}.drift_{}.worst_of_chain", name, ar1), strong.least, "balancedness");
    }
    for (const double share : {0.02, 0.05, 0.2}) {
      FLEXPERT_ASSIGN(const Chain other, run_chain(each, {}, 1, share));
      figures.note(fmt::format("{}.moving_{:.0f}_percent.worst_of_chain", name, 100 * share), other.least, "balancedness");
    }
  }
  return {};
}

Result<void> measure_time(Figures& figures) {
  for (const Case& each : kCases) {
    const auto cluster = ExpertCluster::uniform(each.devices, each.devices / 8, each.slots / each.devices);
    DriftingLoads loads(each.geometry, 1);
    FLEXPERT_ASSIGN(const PlacementPlan scratch, placement::plan_quality(loads.next(), cluster));
    const ExpertCounts counts = loads.next();
    const placement::MoveBudget budget{.slots = static_cast<std::uint64_t>(each.slots) * each.geometry.layers / 10};
    const double ms = least_cpu_ms(100, [&] { (void)placement::plan_incremental(counts, cluster, scratch.layout, budget); });
    figures.note(fmt::format("{}.ms", each.name), ms, "ms");
  }
  return {};
}

struct RandomCase {
  ExpertCounts counts;
  ExpertCluster cluster;
  ExpertLayout current;
};

/// Any small cluster of unlike devices, some dead, and any layout with a slot for each expert.
RandomCase random_case(Rng& rng) {
  RandomCase out;
  const auto below = [&rng](std::uint64_t n) { return static_cast<std::uint32_t>(rng.below(n)); };
  const std::uint32_t experts = 1 + below(24);
  out.counts.geometry = out.current.geometry = {1 + below(4), experts};
  const std::uint32_t devices = 1 + below(10);
  for (std::uint32_t d = 0; d < devices; ++d)
    out.cluster.devices.push_back({d / 3, d / 3, below(7), rng.below(3) == 0 ? 0.5 + rng.uniform() : 1.0, rng.below(12) > 0});
  while (out.cluster.slots() < experts) ++out.cluster.devices[below(devices)].slots;
  for (const ExpertDevice& device : out.cluster.devices) out.current.slots_of_device.push_back(device.slots);
  for (std::size_t i = 0; i < out.counts.geometry.size(); ++i)
    out.counts.count.push_back(rng.below(5) == 0 ? 0 : std::floor(std::exp(8 * rng.uniform())));
  const std::uint32_t slots = out.cluster.slots();
  for (std::uint32_t layer = 0; layer < out.counts.geometry.layers; ++layer) {
    std::vector<std::int32_t> row;
    for (std::uint32_t s = 0; s < slots; ++s)
      row.push_back(s < experts         ? static_cast<std::int32_t>(s)
                    : rng.below(6) == 0 ? kEmptySlot
                                        : static_cast<std::int32_t>(rng.below(experts)));
    for (std::uint32_t s = slots; s > 1; --s) std::swap(row[s - 1], row[rng.below(s)]);
    out.current.expert_of_slot.insert(out.current.expert_of_slot.end(), row.begin(), row.end());
  }
  return out;
}

/// Carries the moves out one by one; false if one reads what is not there.
bool can_be_carried_out(const RandomCase& test, const PlacementPlan& plan) {
  ExpertLayout now = test.current;
  const auto device_of = device_of_slots(now.slots_of_device);
  for (const SlotMove& move : plan.moves.moves) {
    const auto row = now.layer(move.layer);
    if (move.kind != MoveKind::kLoad &&
        (row[move.source_slot] != move.to_expert || !test.cluster.devices[device_of[move.source_slot]].alive))
      return false;
    row[move.slot] = move.to_expert;
  }
  for (std::size_t i = 0; i < now.expert_of_slot.size(); ++i)
    if (test.cluster.devices[device_of[i % device_of.size()]].alive && now.expert_of_slot[i] != plan.layout.expert_of_slot[i]) return false;
  return true;
}

Result<void> measure_promises(Figures& figures) {
  Rng rng(2026);
  std::uint64_t planned = 0, improved = 0, refused = 0, worse = 0, over_budget = 0, unserved = 0, unordered = 0;
  for (int round = 0; round < 10000; ++round) {
    const RandomCase test = random_case(rng);
    const placement::MoveBudget budget{
        .slots = rng.below(4) == 0 ? 0 : rng.below(40), .bytes = rng.below(3) == 0 ? rng.below(200) : UINT64_MAX, .bytes_per_expert = 7};
    const auto plan = placement::plan_incremental(test.counts, test.cluster, test.current, budget);
    if (!plan) {
      ++refused;
      continue;
    }
    ++planned;
    improved += plan->balance.balancedness > plan->before.balancedness;
    over_budget += plan->moves.changed() > budget.slots || plan->moves.bytes > budget.bytes;
    unserved += !validate(plan->layout).has_value();
    unordered += !can_be_carried_out(test, *plan);
    const bool restored =
        plan->reasons.size() > 0 && std::ranges::any_of(plan->reasons, [](const Reason& r) { return r.code == "experts_restored"; });
    for (std::size_t layer = 0; layer < plan->balance.layers.size() && !restored; ++layer)
      worse += plan->balance.layers[layer].max_load > plan->before.layers[layer].max_load;
  }
  figures.note("random_cases.planned", static_cast<double>(planned), "cases");
  figures.note("random_cases.improved", static_cast<double>(improved), "cases");
  figures.note("random_cases.refused", static_cast<double>(refused), "cases without enough living slots or moves");
  figures.hold("random_cases.layers_worse", static_cast<double>(worse), "layers", "0", worse == 0 && planned > 5000 && improved > 1000);
  figures.hold("random_cases.over_budget", static_cast<double>(over_budget), "cases", "0", over_budget == 0);
  figures.hold("random_cases.experts_unserved", static_cast<double>(unserved), "cases", "0", unserved == 0);
  figures.hold("random_cases.order_cannot_be_carried_out", static_cast<double>(unordered), "cases", "0", unordered == 0);
  return {};
}

Result<void> measure(Figures& figures) {
  FLEXPERT_TRY(measure_chains(figures));
  FLEXPERT_TRY(measure_time(figures));
  return measure_promises(figures);
}

}  // namespace
}  // namespace flexpert::bench

int main() {
  using namespace flexpert::bench;
  Figures figures(
      "placement-incremental",
      fmt::format(
          "plan_incremental() from the plan in force, 10 % of all slots a window, on the drawn loads (bench/placement/loads.h): from "
          "plan_quality() for the first window along {} windows of {} seeds, the worst of all; stronger drifts (AR(1) coefficient) and "
          "other budgets on one seed; ms: CPU time of one thread, the most in a chain, and the least of 100 runs; 10,000 random cases",
          kWindows, kSeeds));
  const auto done = measure(figures);
  if (!done) std::fprintf(stderr, "placement-incremental: %s\n", done.error().message.c_str());
  return figures.verdict(done.has_value());
}
