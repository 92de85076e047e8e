#include "placement/rebalance_layer.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "fleet/expert_layout.h"

namespace flexpert::placement {
namespace {

/// Changes that are tried in earnest after all were scored. The score is an upper bound of the gain.
constexpr std::size_t kTried = 64;

double largest_load(const BatchSplit& split) {
  double most = 0;
  const auto rows = split.device_rows();
  for (std::uint32_t d = 0; d < rows.size(); ++d) most = std::max(most, rows[d] * split.slowness(d));
  return most;
}

}  // namespace

RebalanceLayer::RebalanceLayer(std::span<const std::int32_t> expert_of_slot, std::uint32_t experts, const ExpertCluster& cluster,
                               std::vector<Case> cases)
    : cluster_(&cluster), experts_(experts), slots_(expert_of_slot.begin(), expert_of_slot.end()), cases_(std::move(cases)) {
  double speed = 0;
  for (std::uint32_t d = 0; d < cluster.devices.size(); ++d) {
    device_.insert(device_.end(), cluster.devices[d].slots, d);
    if (cluster.devices[d].alive) speed += cluster.devices[d].speed;
  }
  for (const Case& load : cases_) mean_.push_back(std::accumulate(load.rows.begin(), load.rows.end(), 0.0) / speed);
  bottlenecks_.resize(cases_.size());
  find_bottlenecks();
}

void RebalanceLayer::find_bottlenecks() {
  const std::size_t devices = cluster_->devices.size();
  replicas_at_.assign(experts_ * devices, 0);
  replicas_.assign(experts_, 0);
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    if (slots_[s] == kEmptySlot || !cluster_->devices[device_[s]].alive) continue;
    const auto expert = static_cast<std::size_t>(slots_[s]);
    std::uint8_t& here = replicas_at_[expert * devices + device_[s]];
    if (here < UINT8_MAX) ++here;
    ++replicas_[expert];
  }
  BatchSplit split(slots_, experts_, *cluster_);
  cost_ = 0;
  balancedness_ = 0;
  for (std::size_t i = 0; i < cases_.size(); ++i) {
    split.split(cases_[i].rows);
    const double ratio = mean_[i] > 0 ? largest_load(split) / mean_[i] : 1;
    cost_ += cases_[i].weight * ratio;
    balancedness_ += cases_[i].weight / ratio;
    bottlenecks_[i].most = cases_[i].weight * (ratio - 1);
    find_bottleneck(i, split);
  }
}

void RebalanceLayer::find_bottleneck(std::size_t index, BatchSplit& split) {
  Bottleneck& bottleneck = bottlenecks_[index];
  const auto rows = split.device_rows();
  const auto shares = std::as_const(split).shares();
  std::uint32_t busiest = 0;
  for (std::uint32_t d = 1; d < rows.size(); ++d)
    if (rows[d] * split.slowness(d) > rows[busiest] * split.slowness(busiest)) busiest = d;
  bottleneck.holds.assign(rows.size(), 0);
  bottleneck.holds[busiest] = 1;
  queue_.assign(1, busiest);
  for (std::size_t head = 0; head < queue_.size(); ++head) {
    for (const std::uint32_t e : split.shared()) {
      const auto replicas = split.replicas(e);
      const bool gives = std::ranges::any_of(replicas, [&](const Replica& replica) {
        return replica.device == queue_[head] && shares[split.first(e) + static_cast<std::uint32_t>(&replica - replicas.data())] > 0;
      });
      if (!gives) continue;
      for (const Replica& replica : replicas)
        if (!std::exchange(bottleneck.holds[replica.device], 1)) queue_.push_back(replica.device);
    }
  }
  double speed = 0;
  for (const std::uint32_t d : queue_) speed += cluster_->devices[d].speed;
  bottleneck.per_row = mean_[index] > 0 ? cases_[index].weight / (mean_[index] * speed) : 0;
  bottleneck.outside.assign(experts_, 0);
  for (std::uint32_t e = 0; e < experts_; ++e)
    for (const Replica& replica : split.replicas(e)) bottleneck.outside[e] += bottleneck.holds[replica.device] ? 0 : 1;
}

/// Rows that leave the bottleneck when one replica of an expert goes from a device to another (UINT32_MAX: from or to nowhere).
double RebalanceLayer::score(std::int32_t expert, std::uint32_t from, std::uint32_t to, const Bottleneck& at, const Case& load) const {
  const std::uint32_t before = at.outside[static_cast<std::size_t>(expert)];
  std::uint32_t after = before;
  if (from != UINT32_MAX && !at.holds[from]) --after;
  if (to != UINT32_MAX && !at.holds[to]) ++after;
  if ((before == 0) == (after == 0)) return 0;
  const double rows = load.rows[static_cast<std::size_t>(expert)];
  return before == 0 ? rows : -rows;
}

void RebalanceLayer::keep(const LayerChange& change) {
  const auto place = std::ranges::find_if(best_, [&](const LayerChange& other) { return change.gain_per_slot() > other.gain_per_slot(); });
  if (place == best_.end() && best_.size() == kTried) return;
  best_.insert(place, change);
  if (best_.size() > kTried) best_.pop_back();
}

void RebalanceLayer::score_replacements(double least_gain) {
  for (std::uint32_t s = 0; s < slots_.size(); ++s) {
    const std::uint32_t device = device_[s];
    const std::int32_t old = slots_[s];
    if (!cluster_->devices[device].alive || (old != kEmptySlot && replicas_[static_cast<std::size_t>(old)] < 2)) continue;
    const bool last_here = old != kEmptySlot && replicas_at_[static_cast<std::size_t>(old) * cluster_->devices.size() + device] == 1;
    for (std::int32_t e = 0; e < static_cast<std::int32_t>(experts_); ++e) {
      if (e == old || on_device(e, device)) continue;
      double gain = 0;
      for (std::size_t i = 0; i < cases_.size(); ++i) {
        double rows = score(e, UINT32_MAX, device, bottlenecks_[i], cases_[i]);
        if (last_here) rows += score(old, device, UINT32_MAX, bottlenecks_[i], cases_[i]);
        gain += std::min(rows * bottlenecks_[i].per_row, bottlenecks_[i].most);
      }
      if (gain > least_gain) keep({.slot = s, .other = s, .expert = e, .gain = gain});
    }
  }
}

void RebalanceLayer::score_exchanges(double least_gain) {
  for (std::uint32_t a = 0; a < slots_.size(); ++a) {
    const std::uint32_t from = device_[a];
    if (slots_[a] == kEmptySlot || !cluster_->devices[from].alive) continue;
    for (std::uint32_t b = a + 1; b < slots_.size(); ++b) {
      const std::uint32_t to = device_[b];
      if (to == from || slots_[b] == kEmptySlot || slots_[b] == slots_[a] || !cluster_->devices[to].alive) continue;
      if (on_device(slots_[a], to) || on_device(slots_[b], from)) continue;
      double gain = 0;
      for (std::size_t i = 0; i < cases_.size(); ++i) {
        const Bottleneck& at = bottlenecks_[i];
        if (at.holds[from] == at.holds[to]) continue;
        const double rows = score(slots_[a], from, to, at, cases_[i]) + score(slots_[b], to, from, at, cases_[i]);
        gain += std::min(rows * at.per_row, at.most);
      }
      if (gain > 2 * least_gain) keep({.slot = a, .other = b, .expert = slots_[b], .gain = gain});
    }
  }
}

double RebalanceLayer::cost_of(std::span<const std::int32_t> slots) {
  BatchSplit split(slots, experts_, *cluster_);
  double cost = 0;
  for (std::size_t i = 0; i < cases_.size(); ++i) {
    split.split(cases_[i].rows);
    cost += cases_[i].weight * (mean_[i] > 0 ? largest_load(split) / mean_[i] : 1);
  }
  return cost;
}

std::optional<LayerChange> RebalanceLayer::best_change(double least_gain) {
  best_.clear();
  if (cost_ - 1 <= least_gain) return std::nullopt;
  score_replacements(least_gain);
  score_exchanges(least_gain);
  std::optional<LayerChange> best;
  for (LayerChange change : best_) {
    // The score bounds the gain, and the rest has lower scores.
    if (best && best->gain_per_slot() >= change.gain_per_slot()) break;
    trial_.assign(slots_.begin(), slots_.end());
    if (change.slot == change.other)
      trial_[change.slot] = change.expert;
    else
      std::swap(trial_[change.slot], trial_[change.other]);
    change.gain = cost_ - cost_of(trial_);
    if (change.gain_per_slot() <= least_gain || (best && change.gain_per_slot() <= best->gain_per_slot())) continue;
    best = change;
  }
  return best;
}

void RebalanceLayer::apply(const LayerChange& change) {
  if (change.slot == change.other)
    slots_[change.slot] = change.expert;
  else
    std::swap(slots_[change.slot], slots_[change.other]);
  find_bottlenecks();
}

}  // namespace flexpert::placement
