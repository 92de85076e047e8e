#include "placement/dispatch_aware.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "placement/balance.h"
#include "placement/dispatch_search.h"
#include "placement/level_start.h"
#include "placement/moves.h"

namespace flexpert::placement {
namespace {

Result<void> check_current(const ExpertLayout& current, const ExpertCluster& cluster, const ExpertCounts& counts) {
  FLEXPERT_TRY(check_match(current, cluster, counts));
  const auto device_of = device_of_slots(current.slots_of_device);
  for (std::uint32_t l = 0; l < current.geometry.layers; ++l) {
    std::vector<bool> served(current.geometry.experts, false);
    const auto row = current.layer(l);
    for (std::size_t s = 0; s < row.size(); ++s)
      if (row[s] != kEmptySlot && cluster.devices[device_of[s]].alive) served[static_cast<std::size_t>(row[s])] = true;
    for (std::uint32_t e = 0; e < current.geometry.experts; ++e)
      if (!served[e])
        return fail(ErrorCode::kFailedPrecondition,
                    "the layout in force has an expert without a living slot, plan without it or incrementally: layer {} expert {}", l, e);
  }
  return {};
}

Result<ExpertCounts> sum_of(std::span<const ExpertCounts> windows) {
  if (windows.empty()) return fail(ErrorCode::kInvalidArgument, "a plan for dispatch needs windows of counts: none given");
  ExpertCounts sum{windows[0].geometry, std::vector<double>(windows[0].geometry.size()), 0};
  for (std::size_t w = 0; w < windows.size(); ++w) {
    if (windows[w].geometry != sum.geometry)
      return fail(ErrorCode::kInvalidArgument, "windows differ in geometry: window {} has {} layers x {} experts, the first {} x {}", w,
                  windows[w].geometry.layers, windows[w].geometry.experts, sum.geometry.layers, sum.geometry.experts);
    if (const auto valid = validate(windows[w]); !valid) return std::unexpected(valid.error().with_context("window " + std::to_string(w)));
    for (std::size_t i = 0; i < sum.count.size(); ++i) sum.count[i] += windows[w].count[i];
    sum.tokens += windows[w].tokens;
  }
  FLEXPERT_TRY(validate(sum));
  return sum;
}

/// Takes the exchanges that gain most by changed slot, over all layers, until the budget is spent.
void spend(std::vector<DispatchSearch>& layers, std::uint64_t slots, double least_gain) {
  auto left = static_cast<std::int64_t>(std::min<std::uint64_t>(slots, INT64_MAX));
  std::vector<std::optional<SlotExchange>> best(layers.size());
  std::vector<bool> known(layers.size(), false);
  const auto worth = [](const SlotExchange& exchange) { return exchange.gain / std::max(0.5, static_cast<double>(exchange.slots)); };
  for (;;) {
    std::size_t pick = layers.size();
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (!known[l] || (best[l] && best[l]->slots > left)) best[l] = layers[l].best(left, least_gain);
      known[l] = true;
      if (best[l] && (pick == layers.size() || worth(*best[l]) > worth(*best[pick]))) pick = l;
    }
    if (pick == layers.size()) return;
    layers[pick].apply(*best[pick]);
    left -= best[pick]->slots;
    known[pick] = false;
  }
}

}  // namespace

Result<DispatchAwarePlan> plan_dispatch_aware(std::span<const ExpertCounts> windows, const ExpertCluster& cluster,
                                              const DispatchAwareOptions& options) {
  FLEXPERT_TRY(validate(cluster));
  FLEXPERT_ASSIGN(const ExpertCounts sum, sum_of(windows));
  const ExpertGeometry geometry = sum.geometry;
  if (options.current) FLEXPERT_TRY(check_current(*options.current, cluster, sum));
  std::uint32_t living = 0;
  ExpertLayout start{geometry, {}, {}};
  for (const ExpertDevice& device : cluster.devices) {
    start.slots_of_device.push_back(device.slots);
    living += device.alive ? device.slots : 0;
  }
  if (living < geometry.experts)
    return fail(ErrorCode::kInvalidArgument, "the living devices have fewer slots than the model experts, add devices or slots: {} < {}",
                living, geometry.experts);
  std::vector<ExpertCounts> seen;
  const std::size_t count = std::min<std::size_t>(windows.size(), std::max(1U, options.most_windows));
  for (std::size_t i = 0; i < count; ++i) seen.push_back(windows[i * windows.size() / count]);

  const bool limited = options.current && options.slots < std::uint64_t{cluster.slots()} * geometry.layers;
  const std::vector<std::uint32_t> device_of = device_of_slots(start.slots_of_device);
  std::vector<DispatchSearch> layers;
  for (std::uint32_t l = 0; l < geometry.layers; ++l) {
    std::vector<std::int32_t> row;
    if (options.current) {
      row.assign(options.current->layer(l).begin(), options.current->layer(l).end());
      for (std::size_t s = 0; s < row.size(); ++s)
        if (!cluster.devices[device_of[s]].alive) row[s] = kEmptySlot;
    } else {
      row = level_start(sum.layer(l), cluster);
    }
    start.expert_of_slot.insert(start.expert_of_slot.end(), row.begin(), row.end());
    std::vector<double> loads;
    for (const ExpertCounts& window : seen) loads.insert(loads.end(), window.layer(l).begin(), window.layer(l).end());
    layers.emplace_back(std::move(row), cluster, geometry.experts, std::move(loads));
    if (!limited) layers.back().descend(options.passes);
  }
  if (limited) spend(layers, options.slots, options.least_gain);

  DispatchAwarePlan out;
  out.plan.mode = "dispatch_aware";
  out.plan.layout = {geometry, start.slots_of_device, {}};
  for (const DispatchSearch& layer : layers)
    out.plan.layout.expert_of_slot.insert(out.plan.layout.expert_of_slot.end(), layer.row().begin(), layer.row().end());
  out.plan.balance = balance_of(out.plan.layout, cluster, sum);
  if (options.current) {
    align_slots(*options.current, out.plan.layout);
    out.plan.before = balance_of(*options.current, cluster, sum);
    out.plan.moves = moves_between(*options.current, out.plan.layout, cluster);
    out.plan.worthwhile = out.plan.moves.changed() > 0;
  }
  out.start = window_balance(start, cluster, seen);
  out.reached = window_balance(out.plan.layout, cluster, seen);
  out.plan.reasons.push_back({"dispatch_aware",
                              "balancedness per window under dispatch by load, before and after the search; an even split would give less",
                              {{"windows", static_cast<double>(seen.size())},
                               {"start", out.start.dispatched},
                               {"dispatched", out.reached.dispatched},
                               {"even_split", out.reached.even}}});
  return out;
}

}  // namespace flexpert::placement
