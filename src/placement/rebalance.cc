#include "placement/rebalance.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "placement/balance.h"
#include "placement/dispatch_aware.h"
#include "placement/ideal_split.h"
#include "placement/incremental_worth.h"
#include "placement/moves.h"

namespace flexpert::placement {
namespace {

/// Devices * slots of a layer up to which a search takes all parts of its windows.
constexpr double kFullSearch = 400;

Result<void> in_range(const char* name, double value, double least, double most) {
  if (std::isfinite(value) && value >= least && value <= most) return {};
  return fail(ErrorCode::kInvalidArgument, "rebalance: {} must be from {} to {}: {}", name, least, most, value);
}

Reason reason(const char* code, const char* text) { return {.code = code, .text = text, .numbers = {}}; }

Result<void> check_fit(const ExpertLayout& layout, const ExpertCluster& cluster) {
  FLEXPERT_TRY(validate(layout));
  FLEXPERT_TRY(validate(cluster));
  if (layout.devices() != cluster.devices.size())
    return fail(ErrorCode::kInvalidArgument, "rebalance: the layout has {} devices, the cluster {}", layout.devices(),
                cluster.devices.size());
  for (std::size_t d = 0; d < cluster.devices.size(); ++d)
    if (layout.slots_of_device[d] != cluster.devices[d].slots)
      return fail(ErrorCode::kInvalidArgument, "rebalance: device {} has {} slots in the layout, {} in the cluster", d,
                  layout.slots_of_device[d], cluster.devices[d].slots);
  return {};
}

/// Precondition: a load or more.
ExpertCounts sum_of(std::span<const ExpertCounts> loads) {
  ExpertCounts sum = loads.front();
  for (const ExpertCounts& load : loads.subspan(1)) {
    std::ranges::transform(sum.count, load.count, sum.count.begin(), std::plus{});
    sum.tokens += load.tokens;
  }
  return sum;
}

}  // namespace

Result<void> validate(const RebalanceOptions& options) {
  FLEXPERT_TRY(in_range("least_utilisation", options.least_utilisation, 0, 1));
  FLEXPERT_TRY(in_range("drift_factor", options.drift_factor, 0, 1e6));
  FLEXPERT_TRY(in_range("budget", options.budget, 0, 1));
  FLEXPERT_TRY(in_range("drift_budget", options.drift_budget, 0, 1));
  FLEXPERT_TRY(in_range("least_gain", options.least_gain, 0, 1e6));
  FLEXPERT_TRY(in_range("history.decay", options.history.decay, 1e-6, 1));
  FLEXPERT_TRY(in_range("history.tolerance", options.history.tolerance, 1e-6, 1e6));
  FLEXPERT_TRY(in_range("history.windows", options.history.windows, 1, 4096));
  FLEXPERT_TRY(in_range("history.used", options.history.used, 1, 4096));
  if (options.worth) FLEXPERT_TRY(validate(*options.worth));
  return {};
}

Balance dispatched_balance(const ExpertLayout& layout, const ExpertCluster& cluster, std::span<const ExpertCounts> loads) {
  Balance balance = balance_of(layout, cluster, sum_of(loads));
  balance.worst = 1;
  balance.worst_layer = 0;
  double sum = 0;
  double gap = 0;
  std::uint32_t loaded = 0;
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    LayerBalance& layer = balance.layers[l];
    if (!(layer.max_load > 0)) continue;
    IdealSplit split(layout.layer(l), layout.geometry.experts, cluster);
    layer.max_load = 0;
    for (const ExpertCounts& load : loads) layer.max_load += split.max_load(load.layer(l));
    layer.max_load = std::max(layer.max_load, layer.mean_load);
    layer.lower_bound = layer.mean_load;
    ++loaded;
    sum += layer.balancedness();
    gap += layer.max_load / layer.mean_load - 1;
    if (layer.balancedness() >= balance.worst) continue;
    balance.worst = layer.balancedness();
    balance.worst_layer = l;
  }
  balance.balancedness = loaded > 0 ? sum / loaded : 1;
  balance.gap = loaded > 0 ? gap / loaded : 0;
  balance.bound = 1;
  return balance;
}

Rebalancer::Rebalancer(const ExpertLayout& layout, const ExpertCluster& cluster, const RebalanceOptions& options)
    : layout_(layout), cluster_(cluster), options_(options), detector_(options.drift_factor), history_(options.history) {}

Result<Rebalancer> Rebalancer::create(const ExpertLayout& layout, const ExpertCluster& cluster, const RebalanceOptions& options) {
  FLEXPERT_TRY(validate(options));
  FLEXPERT_TRY(check_fit(layout, cluster));
  return Rebalancer(layout, cluster, options);
}

Result<void> Rebalancer::adopt(const ExpertLayout& layout) {
  FLEXPERT_TRY(check_fit(layout, cluster_));
  if (layout.geometry != layout_.geometry)
    return fail(ErrorCode::kInvalidArgument, "rebalance: the layout has {} layers x {} experts, the model {} x {}", layout.geometry.layers,
                layout.geometry.experts, layout_.geometry.layers, layout_.geometry.experts);
  layout_ = layout;
  return {};
}

Result<void> Rebalancer::set_cluster(const ExpertCluster& cluster) {
  FLEXPERT_TRY(check_fit(layout_, cluster));
  cluster_changed_ = cluster_changed_ || cluster != cluster_;
  cluster_ = cluster;
  return {};
}

/// Adds a window to those that had too few tokens; returns whether they have enough together.
bool Rebalancer::gather(const RecordedWindow& window, std::uint64_t steps) {
  steps_ += steps;
  if (gathered_.counts.count.empty()) {
    gathered_ = window;
  } else {
    gathered_.counts.tokens += window.counts.tokens;
    std::ranges::transform(gathered_.counts.count, window.counts.count, gathered_.counts.count.begin(), std::plus{});
    gathered_.parts.insert(gathered_.parts.end(), window.parts.begin(), window.parts.end());
  }
  const double choices = std::accumulate(gathered_.counts.count.begin(), gathered_.counts.count.end(), 0.0);
  return choices > 0 && gathered_.counts.tokens >= options_.least_tokens;
}

Balance Rebalancer::balance(const ExpertLayout& layout, std::span<const ExpertCounts> loads) const {
  return options_.splits_freely ? dispatched_balance(layout, cluster_, loads) : balance_of(layout, cluster_, sum_of(loads));
}

bool Rebalancer::searches() const {
  return options_.splits_freely && static_cast<std::uint64_t>(layout_.slots()) * layout_.devices() <= options_.most_searched;
}

std::uint64_t Rebalancer::budget(bool large) const {
  const double slots = static_cast<double>(layout_.expert_of_slot.size());
  return static_cast<std::uint64_t>(std::ceil(slots * (large ? options_.drift_budget : options_.budget)));
}

std::uint32_t Rebalancer::living() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(cluster_.devices, &ExpertDevice::alive));
}

/// Tells whether every expert has a living slot, and no dead device holds any.
bool Rebalancer::serves_all() const {
  const std::vector<std::uint32_t> device = device_of_slots(layout_.slots_of_device);
  for (std::uint32_t l = 0; l < layout_.geometry.layers; ++l) {
    std::vector<std::uint8_t> served(layout_.geometry.experts);
    const auto slots = layout_.layer(l);
    for (std::size_t s = 0; s < slots.size(); ++s) {
      if (slots[s] == kEmptySlot) continue;
      if (!cluster_.devices[device[s]].alive) return false;
      served[static_cast<std::size_t>(slots[s])] = 1;
    }
    if (std::ranges::count(served, 0) > 0) return false;
  }
  return true;
}

/// Fewer parts of a window for larger layers, whose search takes longer for each.
std::uint32_t Rebalancer::parts() const {
  const double size = static_cast<double>(layout_.slots()) * layout_.devices() / kFullSearch;
  return static_cast<std::uint32_t>(std::max(2.0, options_.history.parts / std::max(size * size, 1.0)));
}

/// Plans for the loads expected next.
Result<PlacementPlan> Rebalancer::plan(std::uint64_t slots) {
  const std::vector<WeightedWindow> windows = history_.expected(detector_.usual());
  reference_ = mean_load(windows);
  const std::vector<ExpertCounts> samples = samples_of(windows, parts());
  const bool serves = serves_all();
  PlacementPlan plan;
  plan.mode = "incremental";
  plan.layout = layout_;
  if (!searches() || !serves) {
    // What is not served at all comes first, whatever the budget says.
    FLEXPERT_ASSIGN(PlacementPlan even, plan_incremental(*reference_, cluster_, layout_, {.slots = serves ? slots : UINT64_MAX}));
    plan.layout = std::move(even.layout);
    plan.reasons = std::move(even.reasons);
  }
  if (searches()) FLEXPERT_TRY(plan_for_dispatch(plan, samples, slots));
  plan.balance = balance(plan.layout, samples);
  plan.before = balance(layout_, samples);
  plan.moves = moves_between(layout_, plan.layout, cluster_, options_.bytes_per_expert);
  return plan;
}

/// Improves the plan's layout for free splits of the samples.
Result<void> Rebalancer::plan_for_dispatch(PlacementPlan& plan, std::span<const ExpertCounts> samples, std::uint64_t slots) const {
  DispatchAwareOptions search;
  search.most_windows = static_cast<std::uint32_t>(samples.size());
  search.current = plan.layout;
  // A search without a limit would not ask what a slot gains.
  search.slots = std::min<std::uint64_t>(slots, plan.layout.expert_of_slot.size() - 1);
  search.least_gain = options_.least_gain;
  FLEXPERT_ASSIGN(DispatchAwarePlan found, plan_dispatch_aware(samples, cluster_, search));
  plan.layout = std::move(found.plan.layout);
  plan.reasons.insert(plan.reasons.end(), found.plan.reasons.begin(), found.plan.reasons.end());
  return {};
}

/// Tells whether the plan saves more step time than its moves take, and notes the numbers.
bool Rebalancer::pays(PlacementPlan& plan) const {
  if (!options_.worth || cluster_changed_) return true;
  const Worth& worth = *options_.worth;
  const std::uint32_t devices = living();
  const double saved = (step_ms(worth, plan.before, devices) - step_ms(worth, plan.balance, devices)) * worth.steps;
  const double cost = moves_ms(worth, plan.moves, plan.layout, options_.bytes_per_expert);
  const double gain = plan.balance.balancedness - plan.before.balancedness;
  plan.worthwhile = saved > cost && gain >= worth.least_gain;
  plan.reasons.push_back({.code = "worth",
                          .text = plan.worthwhile ? "the moves pay" : "the moves cost more than they save",
                          .numbers = {{"saved_ms", saved}, {"moves_ms", cost}, {"gain", gain}}});
  return plan.worthwhile;
}

Result<void> Rebalancer::check_window(const ExpertCounts& counts) const {
  FLEXPERT_TRY(validate(counts));
  if (counts.geometry == layout_.geometry) return {};
  return fail(ErrorCode::kInvalidArgument, "rebalance: the counts are of {} layers x {} experts, the model has {} x {}",
              counts.geometry.layers, counts.geometry.experts, layout_.geometry.layers, layout_.geometry.experts);
}

Result<RebalanceDecision> Rebalancer::observe(const RecordedWindow& window, std::uint64_t steps) {
  FLEXPERT_TRY(check_window(window.counts));
  for (const ExpertCounts& part : window.parts) FLEXPERT_TRY(check_window(part));
  RebalanceDecision decision;
  decision.reason = reason("too_few_tokens", "the window waits for more tokens");
  if (!gather(window, steps)) return decision;
  history_.add(std::exchange(gathered_, {}));
  const RecordedWindow& newest = history_.newest();
  const Balance now = balance(layout_, newest.parts.empty() ? std::span(&newest.counts, 1) : std::span(newest.parts));
  decision.utilisation = now.balancedness;
  if (reference_) decision.drift = detector_.observe(newest.counts, *reference_);
  const bool first = !reference_.has_value();
  const bool due = first || cluster_changed_ || decision.drift.drifted || steps_ >= options_.interval_steps;
  const auto note = [&](const char* code, const char* text) {
    decision.reason = {.code = code,
                       .text = text,
                       .numbers = {{"utilisation", decision.utilisation},
                                   {"drift", decision.drift.distance.ratio()},
                                   {"usual", decision.drift.usual},
                                   {"steps", static_cast<double>(steps_)}}};
  };
  if (!due) {
    note("interval_not_over", "no plan before the interval is over");
    return decision;
  }
  const bool balanced = decision.utilisation > options_.least_utilisation;
  if (!cluster_changed_ && (balanced || (options_.worth && imbalance_is_free(*options_.worth, now, living())))) {
    if (balanced) note("balanced", "the layout in force is balanced enough");
    else note("imbalance_is_free", "even layers would save less than a hundredth of a step at so few tokens");
    reference_ = mean_load(history_.expected(detector_.usual()));
    steps_ = 0;
    return decision;
  }
  FLEXPERT_ASSIGN(PlacementPlan plan, this->plan(budget(first || decision.drift.drifted)));
  note(first ? "first" : decision.drift.drifted ? "drift" : "interval", "replicas are placed for the loads expected next");
  steps_ = 0;
  if (plan.moves.changed() == 0) {
    note("no_better", "no move gains enough");
  } else if (!pays(plan)) {
    note("not_worthwhile", "the moves cost more than they save");
  } else {
    plan.reasons.insert(plan.reasons.begin(), decision.reason);
    decision.plan = std::move(plan);
  }
  cluster_changed_ = false;
  return decision;
}

}  // namespace flexpert::placement
