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

/// What a slot changed gains; what costs nothing is worth twice as much as if it cost one.
double slope_between(const BudgetChoice& from, const BudgetChoice& to) {
  return (to.value - from.value) / std::max(static_cast<double>(to.changed - from.changed), 0.5);
}

/// Appends the layer's steps of falling slope.
void add_hull(std::uint32_t layer, const std::vector<BudgetChoice>& choices, std::vector<HullStep>& steps) {
  std::uint32_t at = 0;
  for (;;) {
    HullStep best{0, layer, at, at};
    for (std::uint32_t i = at + 1; i < choices.size(); ++i) {
      const double slope = slope_between(choices[at], choices[i]);
      if (choices[i].value > choices[at].value && slope >= best.slope) best.slope = slope, best.to = i;
    }
    if (best.to == at) return;
    steps.push_back(best);
    at = best.to;
  }
}

}  // namespace

std::vector<std::uint32_t> spend_budget(std::span<const std::vector<BudgetChoice>> layers, std::int64_t budget) {
  std::vector<std::uint32_t> chosen(layers.size(), 0);
  std::vector<HullStep> steps;
  std::int64_t left = budget;
  for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
    left -= layers[layer].front().changed;
    add_hull(layer, layers[layer], steps);
  }
  std::stable_sort(steps.begin(), steps.end(), [](const HullStep& a, const HullStep& b) { return a.slope > b.slope; });
  for (const HullStep& step : steps) {
    const std::int64_t cost = layers[step.layer][step.to].changed - layers[step.layer][step.from].changed;
    if (chosen[step.layer] != step.from || cost > left) continue;
    chosen[step.layer] = step.to;
    left -= cost;
  }
  for (;;) {
    HullStep best;
    for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
      const std::vector<BudgetChoice>& choices = layers[layer];
      const BudgetChoice& now = choices[chosen[layer]];
      for (std::uint32_t i = chosen[layer] + 1; i < choices.size(); ++i) {
        if (choices[i].changed - now.changed > left) continue;
        const double slope = slope_between(now, choices[i]);
        if (slope > best.slope) best = {slope, layer, chosen[layer], i};
      }
    }
    if (best.slope <= 0) return chosen;
    left -= layers[best.layer][best.to].changed - layers[best.layer][best.from].changed;
    chosen[best.layer] = best.to;
  }
}

}  // namespace flexpert::placement
