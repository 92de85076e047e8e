#include "placement/incremental_layer.h"

#include <algorithm>
#include <numeric>

namespace flexpert::placement {
namespace {

/// A step must take at least this off the busiest device, in units of the mean: less is rounding.
constexpr double kLeastRelief = 1e-9;
/// Pairs of slots that a layer's search looks at, at most: far more than real layers need, and about a second.
constexpr double kMostWork = 5e8;
/// Steps after one that made things worse within which they must be better than before.
constexpr int kHumpSteps = 12;
constexpr double kForever = 1e300;

}  // namespace

DeviceTable::DeviceTable(const ExpertCluster& cluster) {
  first.push_back(0);
  for (std::uint32_t d = 0; d < cluster.devices.size(); ++d) {
    const ExpertDevice& device = cluster.devices[d];
    device_of.insert(device_of.end(), device.slots, d);
    first.push_back(first.back() + device.slots);
    inverse_speed.push_back(1 / device.speed);
    alive.push_back(device.alive);
    if (device.alive) speeds += device.speed;
  }
}

IncrementalLayer::IncrementalLayer(const DeviceTable& devices, std::uint32_t experts) : devices_(devices), experts_(experts) {
  const std::size_t pairs = static_cast<std::size_t>(devices.devices()) * experts;
  weight_.resize(experts);
  share_.resize(experts);
  share_more_.resize(experts);
  share_fewer_.resize(experts);
  replicas_.resize(experts);
  first_of_.resize(experts);
  next_.resize(devices.slots());
  slot_share_.resize(devices.slots());
  foreign_.resize(devices.slots());
  order_.resize(devices.slots());
  load_.resize(devices.devices());
  held_.resize(pairs);
  held_at_start_.resize(pairs);
}

void IncrementalLayer::start(std::span<const double> loads, std::span<const std::int32_t> row) {
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  mean_ = devices_.speeds > 0 ? total / devices_.speeds : 0;
  for (std::uint32_t e = 0; e < experts_; ++e) weight_[e] = mean_ > 0 ? loads[e] / mean_ : 0;
  row_.assign(row.size(), kEmptySlot);
  changed_ = 0;
  reset_to(row);
  held_at_start_ = held_;
  first_row_.assign(row.begin(), row.end());
  std::iota(order_.begin(), order_.end(), 0U);
  writes_.clear();
  points_.clear();
}

void IncrementalLayer::reset_to(std::span<const std::int32_t> row) {
  std::fill(held_.begin(), held_.end(), std::uint8_t{0});
  std::fill(first_of_.begin(), first_of_.end(), -1);
  std::fill(load_.begin(), load_.end(), 0.0);
  std::fill(replicas_.begin(), replicas_.end(), 0U);
  row_.assign(row.begin(), row.end());
  for (const std::int32_t expert : row)
    if (expert != kEmptySlot) ++replicas_[static_cast<std::uint32_t>(expert)];
  for (std::uint32_t e = 0; e < experts_; ++e) set_replicas(e, replicas_[e]);
  for (std::uint32_t slot = static_cast<std::uint32_t>(row.size()); slot-- > 0;) {
    if (row[slot] == kEmptySlot) continue;
    const auto expert = static_cast<std::uint32_t>(row[slot]);
    const std::uint32_t device = devices_.device_of[slot];
    next_[slot] = first_of_[expert];
    first_of_[expert] = static_cast<std::int32_t>(slot);
    load_[device] += share_[expert] * devices_.inverse_speed[device];
    ++held(device, expert);
  }
}

void IncrementalLayer::set_replicas(std::uint32_t expert, std::uint32_t replicas) {
  replicas_[expert] = replicas;
  share_[expert] = replicas > 0 ? weight_[expert] / replicas : 0;
  share_more_[expert] = weight_[expert] / (replicas + 1);
  share_fewer_[expert] = replicas > 1 ? weight_[expert] / (replicas - 1) : 0;
}

std::uint32_t IncrementalLayer::busiest() const {
  return static_cast<std::uint32_t>(std::max_element(load_.begin(), load_.end()) - load_.begin());
}

int IncrementalLayer::change_by_leaving(std::uint32_t device, std::int32_t expert) {
  if (expert == kEmptySlot) return 0;
  const auto e = static_cast<std::uint32_t>(expert);
  return held(device, e) > held_at_start(device, e) ? -1 : 0;
}

int IncrementalLayer::change_by_coming(std::uint32_t device, std::int32_t expert) {
  const auto e = static_cast<std::uint32_t>(expert);
  return held(device, e) >= held_at_start(device, e) ? 1 : 0;
}

void IncrementalLayer::lift(std::uint32_t slot) {
  if (row_[slot] == kEmptySlot) return;
  const auto expert = static_cast<std::uint32_t>(row_[slot]);
  const std::uint32_t device = devices_.device_of[slot];
  const double before = share_[expert];
  std::int32_t* link = &first_of_[expert];
  while (*link != static_cast<std::int32_t>(slot)) link = &next_[static_cast<std::uint32_t>(*link)];
  *link = next_[slot];
  load_[device] -= before * devices_.inverse_speed[device];
  set_replicas(expert, replicas_[expert] - 1);
  for (std::int32_t s = first_of_[expert]; s >= 0; s = next_[static_cast<std::uint32_t>(s)]) {
    const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
    load_[at] += (share_[expert] - before) * devices_.inverse_speed[at];
  }
  changed_ = static_cast<std::uint32_t>(static_cast<int>(changed_) + change_by_leaving(device, row_[slot]));
  --held(device, expert);
  row_[slot] = kEmptySlot;
}

void IncrementalLayer::put(std::uint32_t slot, std::int32_t expert_or_empty) {
  if (expert_or_empty == kEmptySlot) return;
  const auto expert = static_cast<std::uint32_t>(expert_or_empty);
  const std::uint32_t device = devices_.device_of[slot];
  const double before = share_[expert];
  set_replicas(expert, replicas_[expert] + 1);
  for (std::int32_t s = first_of_[expert]; s >= 0; s = next_[static_cast<std::uint32_t>(s)]) {
    const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
    load_[at] += (share_[expert] - before) * devices_.inverse_speed[at];
  }
  load_[device] += share_[expert] * devices_.inverse_speed[device];
  next_[slot] = first_of_[expert];
  first_of_[expert] = static_cast<std::int32_t>(slot);
  changed_ = static_cast<std::uint32_t>(static_cast<int>(changed_) + change_by_coming(device, expert_or_empty));
  ++held(device, expert);
  row_[slot] = expert_or_empty;
}

std::vector<std::uint32_t> IncrementalLayer::missing() const {
  std::vector<std::uint32_t> out;
  for (std::uint32_t e = 0; e < experts_; ++e)
    if (replicas_[e] == 0) out.push_back(e);
  std::stable_sort(out.begin(), out.end(), [this](std::uint32_t a, std::uint32_t b) { return weight_[a] > weight_[b]; });
  return out;
}

bool IncrementalLayer::place_missing() {
  for (const std::uint32_t expert : missing()) {
    std::int32_t best = -1;
    double least = 0;
    for (std::uint32_t slot = 0; slot < row_.size(); ++slot) {
      const std::uint32_t device = devices_.device_of[slot];
      const std::int32_t holds = row_[slot];
      if (!devices_.alive[device] || (holds != kEmptySlot && replicas_[static_cast<std::uint32_t>(holds)] < 2)) continue;
      const double gone = holds == kEmptySlot ? 0 : share_[static_cast<std::uint32_t>(holds)];
      double worst = load_[device] + (weight_[expert] - gone) * devices_.inverse_speed[device];
      if (holds != kEmptySlot) {
        const auto e = static_cast<std::uint32_t>(holds);
        for (std::int32_t s = first_of_[e]; s >= 0; s = next_[static_cast<std::uint32_t>(s)]) {
          const std::uint32_t at = devices_.device_of[static_cast<std::uint32_t>(s)];
          if (static_cast<std::uint32_t>(s) != slot)
            worst = std::max(worst, load_[at] + (share_fewer_[e] - share_[e]) * devices_.inverse_speed[at]);
        }
      }
      if (best < 0 || worst < least) best = static_cast<std::int32_t>(slot), least = worst;
    }
    if (best < 0) return false;
    lift(static_cast<std::uint32_t>(best));
    put(static_cast<std::uint32_t>(best), static_cast<std::int32_t>(expert));
  }
  first_row_ = row_;
  return true;
}

void IncrementalLayer::note_point() {
  points_.push_back({static_cast<std::uint32_t>(writes_.size()), changed_, load_.empty() ? 0 : load_[busiest()]});
}

void IncrementalLayer::improve(double threshold, std::uint32_t most_changed) {
  threshold_ = threshold;
  work_ = 0;
  writes_.clear();
  points_.clear();
  if (!std::equal(row_.begin(), row_.end(), first_row_.begin())) {
    reset_to(first_row_);
    count_changed();
  }
  note_point();
  if (!(mean_ > 0)) return;
  while (changed_ < most_changed && (step() || pass_hump())) note_point();
}

bool IncrementalLayer::step() {
  const std::uint32_t top = busiest();
  work_ += static_cast<double>(devices_.first[top + 1] - devices_.first[top]) * static_cast<double>(row_.size() + experts_);
  if (work_ > kMostWork) return false;
  best_ = {};
  limit_ = load_[top] - kLeastRelief;
  look_at_slots();
  try_swaps(top);
  try_replacing_on(top);
  for (std::uint32_t slot = devices_.first[top]; slot < devices_.first[top + 1]; ++slot) try_replicating(slot);
  if (best_.size == 0) return false;
  carry_out(best_);
  return true;
}

bool IncrementalLayer::pass_hump() {
  if (work_ > kMostWork) return false;
  const double goal = points_.back().max_load;
  const std::size_t writes = writes_.size();
  best_ = {};
  best_.score = -kForever;
  limit_ = kForever;
  look_at_slots();
  const std::uint32_t top = busiest();
  std::uint32_t heaviest = devices_.first[top];
  const auto relief = [this](std::uint32_t slot) {
    return row_[slot] == kEmptySlot ? 0
                                    : share_[static_cast<std::uint32_t>(row_[slot])] - share_more_[static_cast<std::uint32_t>(row_[slot])];
  };
  for (std::uint32_t slot = heaviest; slot < devices_.first[top + 1]; ++slot)
    if (relief(slot) > relief(heaviest)) heaviest = slot;
  try_replicating(heaviest);
  if (best_.size > 0) {
    carry_out(best_);
    kept_ = best_.writes[0].slot;
    for (int steps = 0; steps < kHumpSteps; ++steps) {
      if (load_[busiest()] < goal - kLeastRelief) {
        kept_ = kNoSlot;
        return true;
      }
      if (!step()) break;
    }
  }
  kept_ = kNoSlot;
  writes_.resize(writes);
  reset_to(first_row_);
  for (const SlotWrite& w : writes_) row_[w.slot] = w.expert;
  const std::vector<std::int32_t> row = row_;
  reset_to(row);
  count_changed();
  return false;
}

void IncrementalLayer::count_changed() {
  changed_ = 0;
  for (std::size_t i = 0; i < held_.size(); ++i) changed_ += held_[i] > held_at_start_[i] ? held_[i] - held_at_start_[i] : 0U;
}

void IncrementalLayer::look_at_slots() {
  open_.clear();
  for (std::uint32_t slot = 0; slot < row_.size(); ++slot) {
    slot_share_[slot] = 0;
    foreign_[slot] = 0;
    const std::uint32_t device = devices_.device_of[slot];
    if (row_[slot] == kEmptySlot) {
      if (devices_.alive[device]) open_.push_back(slot);
      continue;
    }
    const auto expert = static_cast<std::uint32_t>(row_[slot]);
    slot_share_[slot] = share_[expert];
    foreign_[slot] = held(device, expert) > held_at_start(device, expert) ? 1 : 0;
    if (replicas_[expert] > 1 && slot != kept_) open_.push_back(slot);
  }
  // Nearly in order from the step before.
  for (std::uint32_t d = 0; d < devices_.devices(); ++d)
    for (std::uint32_t i = devices_.first[d] + 1; i < devices_.first[d + 1]; ++i)
      for (std::uint32_t j = i; j > devices_.first[d] && slot_share_[order_[j]] < slot_share_[order_[j - 1]]; --j)
        std::swap(order_[j], order_[j - 1]);
}

void IncrementalLayer::carry_out(const Step& step) {
  // A swap lifts both first: neither expert is ever twice on a device, nor its share that of one replica more.
  for (std::uint32_t i = 0; i < step.size; ++i) lift(step.writes[i].slot);
  for (std::uint32_t i = 0; i < step.size; ++i) {
    put(step.writes[i].slot, step.writes[i].expert);
    writes_.push_back(step.writes[i]);
  }
}

}  // namespace flexpert::placement
