#include "placement/rebalance_history.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "placement/drift.h"

namespace flexpert::placement {
namespace {

/// Weights below this are left out.
constexpr double kLeastWeight = 0.02;
/// The newest windows are never forgotten.
constexpr std::size_t kKeptNewest = 8;

/// A window without parts stands for itself so many times.
constexpr std::size_t kCopies = 4;

double choices_of(const ExpertCounts& counts) { return std::accumulate(counts.count.begin(), counts.count.end(), 0.0); }

/// Leaves `count` of the parts, evenly over them.
void thin(std::vector<ExpertCounts>& parts, std::size_t count) {
  if (parts.size() <= count) return;
  for (std::size_t i = 0; i < count; ++i)
    if (const std::size_t from = i * parts.size() / count; from != i) parts[i] = std::move(parts[from]);
  parts.resize(count);
}

}  // namespace

void LoadHistory::add(RecordedWindow window) {
  if (!windows_.empty()) {
    windows_.back().to_next = distance_between(newest().counts, window.counts).distance;
    thin(windows_.back().load.parts, options_.parts);
  }
  windows_.push_back({.load = std::move(window)});
  if (windows_.size() > std::max<std::size_t>(options_.windows, 1)) forget();
}

void LoadHistory::forget() {
  const std::size_t old = windows_.size() > kKeptNewest ? windows_.size() - kKeptNewest : 1;
  const auto least = std::ranges::min_element(windows_.begin(), windows_.begin() + static_cast<std::ptrdiff_t>(old), {}, &Window::to_next);
  if (least != windows_.begin())
    (least - 1)->to_next = distance_between((least - 1)->load.counts, (least + 1)->load.counts).distance;
  windows_.erase(least);
}

std::vector<WeightedWindow> LoadHistory::expected(double usual) const {
  std::vector<WeightedWindow> loads;
  if (windows_.empty()) return loads;
  const double choices = choices_of(newest().counts);
  loads.push_back({.window = &newest(), .weight = 1});
  double age = 1;
  for (std::size_t i = windows_.size() - 1; i-- > 0;) {
    age *= options_.decay;
    const ExpertCounts& counts = windows_[i].load.counts;
    const double beyond = std::max(0.0, distance_between(newest().counts, counts).ratio() / usual - 1) / options_.tolerance;
    const double size = choices > 0 ? std::min(choices_of(counts) / choices, 4.0) : 1;
    const double weight = age * size * std::exp(-2 * beyond * beyond);
    if (weight >= kLeastWeight) loads.push_back({.window = &windows_[i].load, .weight = weight});
  }
  std::ranges::stable_sort(loads.begin() + 1, loads.end(), std::ranges::greater{}, &WeightedWindow::weight);
  if (loads.size() > options_.used) loads.resize(std::max(options_.used, 1U));
  return loads;
}

ExpertCounts mean_load(const std::vector<WeightedWindow>& windows) {
  const ExpertCounts& first = windows.front().window->counts;
  ExpertCounts mean = first;
  std::ranges::fill(mean.count, 0.0);
  for (std::uint32_t l = 0; l < mean.geometry.layers; ++l) {
    const auto sizes = first.layer(l);
    const double size = std::accumulate(sizes.begin(), sizes.end(), 0.0);
    double weights = 0;
    const std::span out = std::span(mean.count).subspan(static_cast<std::size_t>(l) * mean.geometry.experts, mean.geometry.experts);
    for (const WeightedWindow& one : windows) {
      const auto counts = one.window->counts.layer(l);
      const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
      if (!(sum > 0)) continue;
      weights += one.weight;
      for (std::size_t e = 0; e < counts.size(); ++e) out[e] += one.weight * counts[e] / sum;
    }
    for (double& value : out) value *= weights > 0 ? size / weights : 0;
  }
  return mean;
}

std::vector<ExpertCounts> samples_of(const std::vector<WeightedWindow>& windows, std::uint32_t parts) {
  std::vector<ExpertCounts> samples;
  for (const WeightedWindow& one : windows) {
    const RecordedWindow& window = *one.window;
    const double most = (window.parts.empty() ? std::min<double>(parts, kCopies) : parts) * (&one == windows.data() ? 2 : 1);
    const auto wanted = static_cast<std::size_t>(std::max(std::lround(most * std::min(one.weight, 1.0)), 1L));
    if (window.parts.empty()) {
      samples.insert(samples.end(), std::min<std::size_t>(wanted, kCopies), window.counts);
      continue;
    }
    const std::size_t count = std::min(wanted, window.parts.size());
    for (std::size_t i = 0; i < count; ++i) samples.push_back(window.parts[i * window.parts.size() / count]);
  }
  return samples;
}

}  // namespace flexpert::placement
