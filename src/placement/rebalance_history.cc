#include "placement/rebalance_history.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "placement/drift.h"

namespace flexpert::placement {
namespace {

/// Weights below this are left out.
constexpr double kLeastWeight = 0.02;
/// The newest windows are never forgotten.
constexpr std::size_t kKeptNewest = 8;

double tokens_of(const ExpertCounts& counts) { return std::accumulate(counts.count.begin(), counts.count.end(), 0.0); }

}  // namespace

void LoadHistory::add(const ExpertCounts& window) {
  if (!windows_.empty()) windows_.back().to_next = distance_between(windows_.back().counts, window).distance;
  windows_.push_back({.counts = window});
  if (windows_.size() <= std::max<std::size_t>(options_.windows, 1)) return;
  const std::size_t old = windows_.size() > kKeptNewest ? windows_.size() - kKeptNewest : 1;
  const auto end = windows_.begin() + static_cast<std::ptrdiff_t>(old);
  const auto least = std::ranges::min_element(windows_.begin(), end, {}, &Window::to_next);
  if (least != windows_.begin()) (least - 1)->to_next = distance_between((least - 1)->counts, (least + 1)->counts).distance;
  windows_.erase(least);
}

std::vector<WeightedLoad> LoadHistory::expected(double usual) const {
  std::vector<WeightedLoad> loads;
  if (windows_.empty()) return loads;
  const ExpertCounts& newest = windows_.back().counts;
  const double tokens = tokens_of(newest);
  loads.push_back({.counts = &newest, .weight = 1});
  double age = 1;
  for (std::size_t i = windows_.size() - 1; i-- > 0;) {
    age *= options_.decay;
    const double beyond = std::max(0.0, distance_between(newest, windows_[i].counts).ratio() / usual - 1) / options_.tolerance;
    const double size = tokens > 0 ? std::min(tokens_of(windows_[i].counts) / tokens, 4.0) : 1;
    const double weight = age * size * std::exp(-2 * beyond * beyond);
    if (weight >= kLeastWeight) loads.push_back({.counts = &windows_[i].counts, .weight = weight});
  }
  const std::size_t used = std::min<std::size_t>(std::max(options_.used, 1U), loads.size());
  std::ranges::stable_sort(loads.begin() + 1, loads.end(), std::ranges::greater{}, &WeightedLoad::weight);
  loads.resize(used);
  return loads;
}

ExpertCounts mean_load(const std::vector<WeightedLoad>& loads) {
  ExpertCounts mean = *loads.front().counts;
  std::ranges::fill(mean.count, 0.0);
  for (std::uint32_t l = 0; l < mean.geometry.layers; ++l) {
    const auto first = loads.front().counts->layer(l);
    const double size = std::accumulate(first.begin(), first.end(), 0.0);
    double weights = 0;
    const std::span out = std::span(mean.count).subspan(static_cast<std::size_t>(l) * mean.geometry.experts, mean.geometry.experts);
    for (const WeightedLoad& load : loads) {
      const auto counts = load.counts->layer(l);
      const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
      if (!(sum > 0)) continue;
      weights += load.weight;
      for (std::size_t e = 0; e < counts.size(); ++e) out[e] += load.weight * counts[e] / sum;
    }
    for (double& value : out) value *= weights > 0 ? size / weights : 0;
  }
  return mean;
}

}  // namespace flexpert::placement
