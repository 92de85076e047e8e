#include "placement/rebalance_search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "placement/rebalance_layer.h"

namespace flexpert::placement {
namespace {

/// Rows that stand for a device's mean load: what a load is scaled to before it is split in whole rows.
constexpr double kRowsPerDevice = 4096;

std::vector<RebalanceLayer::Case> cases_of(std::span<const WeightedLoad> loads, std::uint32_t layer, std::size_t devices) {
  double weights = 0;
  for (const WeightedLoad& load : loads) weights += load.weight;
  std::vector<RebalanceLayer::Case> cases;
  for (const WeightedLoad& load : loads) {
    const auto counts = load.counts->layer(layer);
    const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
    RebalanceLayer::Case one{.rows = std::vector<std::uint32_t>(counts.size()), .weight = load.weight / weights};
    if (sum > 0) {
      const double scale = kRowsPerDevice * static_cast<double>(devices) / sum;
      for (std::size_t e = 0; e < counts.size(); ++e) one.rows[e] = static_cast<std::uint32_t>(std::lround(counts[e] * scale));
    }
    cases.push_back(std::move(one));
  }
  return cases;
}

double mean_balancedness(const std::vector<RebalanceLayer>& layers) {
  double sum = 0;
  for (const RebalanceLayer& layer : layers) sum += layer.balancedness();
  return layers.empty() ? 1 : sum / static_cast<double>(layers.size());
}

}  // namespace

Refinement refine_for_dispatch(const ExpertLayout& layout, const ExpertCluster& cluster, std::span<const WeightedLoad> loads,
                               const RefineLimits& limits) {
  Refinement result{.layout = layout};
  std::vector<RebalanceLayer> layers;
  std::vector<std::optional<LayerChange>> next;
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    layers.emplace_back(layout.layer(l), layout.geometry.experts, cluster, cases_of(loads, l, cluster.devices.size()));
    next.push_back(layers.back().best_change(limits.least_gain));
  }
  result.before = mean_balancedness(layers);
  std::uint64_t spent = 0;
  for (;;) {
    std::size_t best = layers.size();
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (!next[l]) continue;
      if (spent + next[l]->slots() > limits.slots) {
        result.budget_spent = true;
        continue;
      }
      if (best == layers.size() || next[l]->gain_per_slot() > next[best]->gain_per_slot()) best = l;
    }
    if (best == layers.size()) break;
    spent += next[best]->slots();
    layers[best].apply(*next[best]);
    next[best] = layers[best].best_change(limits.least_gain);
  }
  for (std::uint32_t l = 0; l < layers.size(); ++l) std::ranges::copy(layers[l].slots(), result.layout.layer(l).begin());
  for (std::size_t i = 0; i < layout.expert_of_slot.size(); ++i)
    result.changed += layout.expert_of_slot[i] != result.layout.expert_of_slot[i] ? 1 : 0;
  result.after = mean_balancedness(layers);
  return result;
}

}  // namespace flexpert::placement
