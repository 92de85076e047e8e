#include "placement/incremental_budget.h"

#include <algorithm>

namespace flexpert::placement {
namespace {

struct HullStep {
  double slope = 0;
  std::uint32_t layer = 0;
  std::uint32_t from = 0;
  std::uint32_t to = 0;
};

/// Appends the layer's steps of falling slope.
void add_hull(std::uint32_t layer, const std::vector<BudgetChoice>& choices, std::vector<HullStep>& steps) {
  std::uint32_t at = 0;
  for (;;) {
    HullStep best{0, layer, at, at};
    for (std::uint32_t i = at + 1; i < choices.size(); ++i) {
      const double gain = choices[i].value - choices[at].value;
      const double slope = gain / std::max(static_cast<double>(choices[i].changed - choices[at].changed), 0.5);
      if (gain > 0 && slope >= best.slope) best.slope = slope, best.to = i;
    }
    if (best.to == at) return;
    steps.push_back(best);
    at = best.to;
  }
}

}  // namespace

std::vector<std::uint32_t> spend_budget(std::span<const std::vector<BudgetChoice>> layers, std::uint64_t budget) {
  std::vector<std::uint32_t> chosen(layers.size(), 0);
  std::vector<HullStep> steps;
  std::uint64_t spent = 0;
  for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
    spent += layers[layer].front().changed;
    add_hull(layer, layers[layer], steps);
  }
  std::uint64_t left = budget > spent ? budget - spent : 0;
  std::stable_sort(steps.begin(), steps.end(), [](const HullStep& a, const HullStep& b) { return a.slope > b.slope; });
  for (const HullStep& step : steps) {
    const std::uint64_t cost = layers[step.layer][step.to].changed - layers[step.layer][step.from].changed;
    if (chosen[step.layer] != step.from || cost > left) continue;
    chosen[step.layer] = step.to;
    left -= cost;
  }
  while (left > 0) {
    HullStep best;
    for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
      const std::vector<BudgetChoice>& choices = layers[layer];
      const BudgetChoice& now = choices[chosen[layer]];
      for (std::uint32_t i = chosen[layer] + 1; i < choices.size() && choices[i].changed - now.changed <= left; ++i) {
        const double slope = (choices[i].value - now.value) / std::max(static_cast<double>(choices[i].changed - now.changed), 0.5);
        if (slope > best.slope) best = {slope, layer, chosen[layer], i};
      }
    }
    if (best.slope <= 0) break;
    left -= layers[best.layer][best.to].changed - layers[best.layer][best.from].changed;
    chosen[best.layer] = best.to;
  }
  return chosen;
}

}  // namespace flexpert::placement
