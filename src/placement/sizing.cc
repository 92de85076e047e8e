#include "placement/sizing.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include <fmt/format.h>

#include "placement/balance.h"
#include "placement/layer_packing.h"

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kMostExperts = 4096;
constexpr std::uint32_t kMostLayers = 1024;
constexpr std::uint32_t kMostRedundant = 1024;
constexpr std::uint32_t kMostInAll = 65536;    // redundant slots over all layers: fewest() has a table of layers times these
constexpr std::uint64_t kMostPairs = 1 << 20;
constexpr std::uint32_t kEverySlot = 256;  // redundant slots tried one by one
constexpr double kRounding = 1e-12;

/// What a layer reaches with some redundant slots.
struct Reach {
  std::uint32_t redundant = 0;
  double balancedness = 0;
};

/// The layers' balancedness by redundant slots, found as far as it is asked for.
class ReachTable {
 public:
  ReachTable(const ExpertCounts& counts, std::uint32_t devices, std::uint32_t nodes, double goal)
      : counts_(counts), devices_(devices), nodes_(nodes), enough_(1 - std::min(0.0015, (1 - goal) / 2)), rows_(counts.geometry.layers) {
    effort_.comparisons = 150'000;
    effort_.tolerance = std::min(effort_.tolerance, (1 - goal) / 4);
    effort_.recount_tolerance = std::min(effort_.recount_tolerance, (1 - goal) / 2);
  }

  static std::uint32_t next_step(std::uint32_t redundant) { return redundant + (redundant < kEverySlot ? 1 : redundant / 32); }

  /// Tries all layers with this many redundant slots, but those that are even enough with fewer.
  void extend(std::uint32_t redundant) {
    std::vector<std::int32_t> slots;
    for (std::uint32_t l = 0; l < rows_.size(); ++l)
      if (rows_[l].empty() || best(l) < enough_) {
        const double reached = plan(l, redundant, slots);
        if (rows_[l].empty() || reached > best(l)) rows_[l].push_back({redundant, reached});
      }
  }
  [[nodiscard]] bool exhausted() const {
    return std::all_of(rows_.begin(), rows_.end(), [&](const auto& row) { return !row.empty() && row.back().balancedness >= enough_; });
  }

  /// Returns what a layer reaches with at most this many.
  [[nodiscard]] Reach within(std::uint32_t layer, std::uint32_t redundant) const {
    const auto& row = rows_[layer];
    return *std::prev(
        std::upper_bound(row.begin() + 1, row.end(), redundant, [](std::uint32_t r, const Reach& reach) { return r < reach.redundant; }));
  }
  /// Steps of a layer, each better than the one before; the first without redundancy.
  [[nodiscard]] const std::vector<Reach>& steps(std::uint32_t layer) const { return rows_[layer]; }
  /// The mean over layers with load.
  [[nodiscard]] double mean_within(std::uint32_t redundant) const {
    double sum = 0;
    for (std::uint32_t l = 0; l < rows_.size(); ++l)
      if (loaded(l)) sum += within(l, redundant).balancedness;
    return loaded_layers() > 0 ? sum / loaded_layers() : 1;
  }
  [[nodiscard]] bool loaded(std::uint32_t layer) const {
    const auto loads = counts_.layer(layer);
    return std::accumulate(loads.begin(), loads.end(), 0.0) >= kLeastLoad;
  }
  [[nodiscard]] std::uint32_t loaded_layers() const {
    std::uint32_t out = 0;
    for (std::uint32_t l = 0; l < rows_.size(); ++l) out += loaded(l);
    return out;
  }

  /// Plans a layer with this many redundant slots, on devices with just enough of them; returns its balancedness.
  double plan(std::uint32_t layer, std::uint32_t redundant, std::vector<std::int32_t>& slots) {
    const std::uint32_t replicas = counts_.geometry.experts + redundant;
    const std::uint32_t each = (replicas + devices_ - 1) / devices_;
    if (!packing_ || each != each_) {
      packing_ = std::make_unique<LayerPacking>(ExpertCluster::uniform(devices_, nodes_, each), counts_.geometry.experts);
      each_ = each;
    }
    slots.resize(std::size_t{each} * devices_);
    const auto loads = counts_.layer(layer);
    const double load = packing_->plan(loads, replicas, slots, effort_);
    return load >= kLeastLoad ? std::accumulate(loads.begin(), loads.end(), 0.0) / devices_ / load : 1;
  }

 private:
  [[nodiscard]] double best(std::uint32_t layer) const { return rows_[layer].back().balancedness; }

  const ExpertCounts& counts_;
  std::uint32_t devices_;
  std::uint32_t nodes_;
  double enough_;
  PackingEffort effort_;
  std::vector<std::vector<Reach>> rows_;
  std::unique_ptr<LayerPacking> packing_;
  std::uint32_t each_ = 0;
};

/// The fewest redundant slots in all, at most `most`, that reach the sum of balancedness `wanted`: over the layers one by
/// one, the best sum for each number of slots. Returns each layer's; empty if `most` do not reach it.
std::vector<std::uint32_t> fewest(const ReachTable& table, std::uint32_t layers, std::uint64_t most, double wanted) {
  constexpr double kNever = -1e300;
  std::vector<double> sum(most + 1, kNever);
  std::vector<double> next(most + 1);
  std::vector<std::vector<std::uint16_t>> choice(layers, std::vector<std::uint16_t>(most + 1, 0));
  sum[0] = 0;
  for (std::uint32_t l = 0; l < layers; ++l) {
    std::fill(next.begin(), next.end(), kNever);
    const auto& steps = table.steps(l);
    const bool loaded = table.loaded(l);  // a layer without load does not count, and needs nothing
    for (std::size_t s = 0; s < (loaded ? steps.size() : 1); ++s) {
      const double value = loaded ? steps[s].balancedness : 0;
      for (std::uint64_t used = steps[s].redundant; used <= most; ++used)
        if (const double with = sum[used - steps[s].redundant] + value; with > next[used])
          next[used] = with, choice[l][used] = static_cast<std::uint16_t>(s);
    }
    std::swap(sum, next);
  }
  const auto found = std::find_if(sum.begin(), sum.end(), [&](double reached) { return reached >= wanted * (1 - kRounding); });
  if (found == sum.end()) return {};
  std::vector<std::uint32_t> out(layers);
  auto used = static_cast<std::uint64_t>(found - sum.begin());
  for (std::uint32_t l = layers; l-- > 0;) {
    out[l] = table.steps(l)[choice[l][used]].redundant;
    used -= out[l];
  }
  return out;
}

/// Plans the layers with their numbers of replicas. Devices are alike, so which one takes a layer's fuller share is free:
/// the one that holds the least so far.
PlacementPlan ragged_plan(const ExpertCounts& counts, std::uint32_t devices, std::uint32_t nodes, ReachTable& table, Sizing& sizing) {
  const std::uint32_t experts = counts.geometry.experts;
  const std::uint32_t widest = (experts + *std::max_element(sizing.redundant.begin(), sizing.redundant.end()) + devices - 1) / devices;
  PlacementPlan out;
  out.mode = "sized";
  out.layout = {counts.geometry, std::vector<std::uint32_t>(devices, widest),
                std::vector<std::int32_t>(std::size_t{counts.geometry.layers} * devices * widest, kEmptySlot)};
  std::vector<std::uint64_t> held(devices, 0);
  std::vector<std::int32_t> slots;
  std::vector<std::uint32_t> order(devices);
  std::vector<std::uint32_t> fullest(devices);
  for (std::uint32_t l = 0; l < counts.geometry.layers; ++l) {
    table.plan(l, sizing.redundant[l], slots);
    const std::size_t each = slots.size() / devices;
    const auto of = [&](std::uint32_t d) { return std::span<const std::int32_t>(slots).subspan(d * each, each); };
    const auto replicas = [&](std::uint32_t d) {
      return each - static_cast<std::size_t>(std::count(of(d).begin(), of(d).end(), kEmptySlot));
    };
    std::iota(order.begin(), order.end(), 0U);
    std::iota(fullest.begin(), fullest.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return held[a] < held[b]; });
    std::stable_sort(fullest.begin(), fullest.end(), [&](std::uint32_t a, std::uint32_t b) { return replicas(a) > replicas(b); });
    for (std::uint32_t i = 0; i < devices; ++i) {
      std::copy_if(of(fullest[i]).begin(), of(fullest[i]).end(),
                   out.layout.layer(l).begin() + static_cast<std::ptrdiff_t>(order[i]) * widest,
                   [](std::int32_t e) { return e != kEmptySlot; });
      held[order[i]] += replicas(fullest[i]);
    }
  }
  sizing.most_on_a_device = *std::max_element(held.begin(), held.end());
  out.balance = balance_of(out.layout, ExpertCluster::uniform(devices, nodes, widest), counts);
  return out;
}

Result<void> check(const ExpertCounts& counts, std::uint32_t devices, std::uint32_t nodes, const SizingGoal& goal) {
  FLEXPERT_TRY(validate(counts));
  if (devices == 0 || nodes == 0 || devices % nodes != 0)
    return fail(ErrorCode::kInvalidArgument, "sizing: needs devices, and nodes that divide them: {} devices, {} nodes", devices, nodes);
  if (!(goal.balancedness > 0 && goal.balancedness <= 1))
    return fail(ErrorCode::kInvalidArgument, "sizing: the balancedness to reach must be over 0 and at most 1: {}", goal.balancedness);
  if (counts.geometry.layers > kMostLayers)
    return fail(ErrorCode::kInvalidArgument, "sizing: at most {} layers: {}", kMostLayers, counts.geometry.layers);
  if (counts.geometry.experts > kMostExperts || std::uint64_t{counts.geometry.experts} * devices > kMostPairs)
    return fail(ErrorCode::kInvalidArgument, "sizing: at most {} experts, and {} experts times devices: {} experts, {} devices",
                kMostExperts, kMostPairs, counts.geometry.experts, devices);
  return {};
}

}  // namespace

Result<Sizing> size_slots(const ExpertCounts& counts, std::uint32_t devices, std::uint32_t nodes, const SizingGoal& goal) {
  FLEXPERT_TRY(check(counts, devices, nodes, goal));
  const std::uint32_t experts = counts.geometry.experts;
  const std::uint32_t layers = counts.geometry.layers;
  const std::uint32_t possible = experts * (devices - 1);
  const std::uint32_t most = std::min(
      {goal.max_redundant == 0 ? kMostRedundant : goal.max_redundant, kMostRedundant, std::max(kMostInAll / layers, 1U), possible});
  ReachTable table(counts, devices, nodes, goal.balancedness);
  Sizing out;
  const double wanted = goal.balancedness * (1 - kRounding);

  // The same for all: the first number with which the mean is there.
  std::uint32_t tried = 0;
  table.extend(0);
  while (table.mean_within(tried) < wanted && tried < most && !table.exhausted())
    table.extend(tried = std::min(ReachTable::next_step(tried), most));
  out.uniform_any_redundant = tried;
  out.uniform_any_slots = std::uint64_t{layers} * tried;
  out.uniform_any_balancedness = table.mean_within(tried);
  out.reached = out.uniform_any_balancedness >= wanted;
  out.uniform_redundant = tried + (devices - (experts + tried) % devices) % devices;
  // What uneven layers may use beyond it.
  const std::uint32_t furthest = std::max(std::min(most, 2 * tried + devices), std::min(out.uniform_redundant, possible));
  while (tried < furthest && !table.exhausted()) table.extend(tried = std::min(ReachTable::next_step(tried), furthest));
  out.uniform_slots = std::uint64_t{layers} * out.uniform_redundant;
  out.uniform_balancedness = table.mean_within(out.uniform_redundant);

  const double sum_wanted = (out.reached ? goal.balancedness : out.uniform_any_balancedness) * table.loaded_layers();
  out.redundant = fewest(table, layers, out.uniform_any_slots, sum_wanted);
  out.redundant_slots = std::accumulate(out.redundant.begin(), out.redundant.end(), std::uint64_t{0});
  out.plan = ragged_plan(counts, devices, nodes, table, out);
  out.balancedness = out.plan.balance.balancedness;
  const double saved = out.uniform_slots > 0 ? 1 - static_cast<double>(out.redundant_slots) / static_cast<double>(out.uniform_slots) : 0;
  out.plan.reasons.push_back(
      {"sized",
       fmt::format("{} redundant slots, uneven over {} layers, reach a balancedness of {:.4f}; the same number in every layer takes {} "
                   "({} if slots divide by devices)",
                   out.redundant_slots, layers, out.balancedness, out.uniform_any_slots, out.uniform_slots),
       {{"redundant_slots", static_cast<double>(out.redundant_slots)},
        {"uniform_slots", static_cast<double>(out.uniform_slots)},
        {"uniform_any_slots", static_cast<double>(out.uniform_any_slots)},
        {"saved_of_uniform", saved},
        {"balancedness", out.balancedness}}});
  if (!out.reached)
    out.plan.reasons.push_back(
        {"goal_not_reached",
         fmt::format("no layout within {} redundant slots a layer was found with a balancedness of {:.4f}", most, goal.balancedness),
         {{"max_redundant", most}, {"balancedness", goal.balancedness}}});
  return out;
}

}  // namespace flexpert::placement
