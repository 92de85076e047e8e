#include "placement/fixed_replicas_layer.h"

#include <algorithm>
#include <numeric>

#include "fleet/expert_counts.h"

namespace flexpert::placement {
namespace {

/// A step must take at least this off the busiest server, in units of the mean: less is rounding.
constexpr double kLeastRelief = 1e-9;

}  // namespace

ReplicaLayer::ReplicaLayer(std::uint32_t servers, std::uint32_t experts)
    : servers_(servers),
      experts_(experts),
      share_(experts),
      came_(experts),
      gone_(experts),
      held_(static_cast<std::size_t>(experts) * servers),
      was_(held_.size()),
      on_(servers),
      load_(servers) {}

void ReplicaLayer::start(std::span<const double> loads, std::span<const std::vector<std::uint16_t>> positions,
                         std::span<const std::vector<std::uint16_t>> before, std::span<const std::uint32_t> room,
                         std::span<const double> total_load) {
  std::fill(held_.begin(), held_.end(), std::uint8_t{0});
  std::fill(was_.begin(), was_.end(), std::uint8_t{0});
  std::fill(load_.begin(), load_.end(), 0.0);
  for (auto& list : on_) list.clear();
  room_.assign(room.begin(), room.end());
  shifts_.clear();
  total_load_ = total_load;
  moved_ = 0;
  double total = 0;
  for (std::uint32_t e = 0; e < experts_; ++e)
    if (!positions[e].empty()) total += loads[e];
  const double mean = total / servers_;
  loaded_ = mean >= kLeastLoad;
  for (std::uint32_t e = 0; e < experts_; ++e) {
    share_[e] = loaded_ && !positions[e].empty() ? loads[e] / static_cast<double>(positions[e].size()) / mean : 0;
    if (!before.empty())
      for (const std::uint16_t s : before[e]) was_[static_cast<std::size_t>(e) * servers_ + s] = 1;
    for (const std::uint16_t s : positions[e]) {
      held(e, s) = 1;
      on_[s].push_back(e);
      load_[s] += share_[e];
    }
    came_[e] = gone_[e] = 0;
    for (std::uint32_t s = 0; s < servers_; ++s) {
      came_[e] += held(e, s) != 0 && !was(e, s);
      gone_[e] += held(e, s) == 0 && was(e, s);
    }
  }
}

std::uint32_t ReplicaLayer::busiest() const {
  return static_cast<std::uint32_t>(std::max_element(load_.begin(), load_.end()) - load_.begin());
}

int ReplicaLayer::cost(std::uint32_t expert, std::uint32_t from, std::uint32_t to) const {
  const int came = came_[expert] + (was(expert, from) ? 0 : -1) + (was(expert, to) ? 0 : 1);
  const int gone = gone_[expert] + (was(expert, from) ? 1 : 0) + (was(expert, to) ? -1 : 0);
  return std::min(came, gone) - std::min(came_[expert], gone_[expert]);
}

double ReplicaLayer::gain(double high, double low, double shifted) const {
  if (goal_ == ReplicaGoal::kBusier) return high - std::max(high - shifted, low + shifted);
  return excess(high) + excess(low) - excess(high - shifted) - excess(low + shifted);
}

void ReplicaLayer::offer(double gain, int cost, double total, std::uint32_t size, ReplicaShift one, ReplicaShift two) {
  const double score = gain / (cost > 0 ? cost : 0.25);
  if (score > best_.score || (score == best_.score && best_.size > 0 && total < best_.total)) best_ = {score, total, size, {one, two}};
}

void ReplicaLayer::shift(ReplicaShift one) {
  moved_ += cost(one.expert, one.from, one.to);
  came_[one.expert] += (was(one.expert, one.from) ? 0 : -1) + (was(one.expert, one.to) ? 0 : 1);
  gone_[one.expert] += (was(one.expert, one.from) ? 1 : 0) + (was(one.expert, one.to) ? -1 : 0);
  held(one.expert, one.from) = 0;
  held(one.expert, one.to) = 1;
  std::erase(on_[one.from], one.expert);
  on_[one.to].push_back(one.expert);
  load_[one.from] -= share_[one.expert];
  load_[one.to] += share_[one.expert];
  ++room_[one.from];
  --room_[one.to];
  shifts_.push_back(one);
}

bool ReplicaLayer::step(std::int64_t left) {
  const std::uint32_t top = busiest();
  const double high = load_[top];
  const double limit = high - kLeastRelief;
  best_ = {};
  for (const std::uint32_t mine : on_[top]) {
    for (std::uint32_t s = 0; s < servers_; ++s) {
      if (s == top || held(mine, s) != 0) continue;
      const double low = load_[s];
      const ReplicaShift out{mine, static_cast<std::uint16_t>(top), static_cast<std::uint16_t>(s)};
      const int out_cost = cost(mine, top, s);
      if (room_[s] > 0 && high - share_[mine] <= limit && low + share_[mine] <= limit && out_cost <= left)
        offer(gain(high, low, share_[mine]), out_cost, total_load_[s], 1, out, {});
      for (const std::uint32_t theirs : on_[s]) {
        const double less = share_[mine] - share_[theirs];
        if (high - less > limit || low + less > limit || held(theirs, top) != 0) continue;
        const int both = out_cost + cost(theirs, s, top);
        if (both > left) continue;
        offer(gain(high, low, less), both, total_load_[s], 2, out,
              {theirs, static_cast<std::uint16_t>(s), static_cast<std::uint16_t>(top)});
      }
    }
  }
  const Step made = best_;
  for (std::uint32_t i = 0; i < made.size; ++i) shift(made.shifts[i]);
  return made.size > 0;
}

void ReplicaLayer::take_back() {
  for (std::size_t i = shifts_.size(); i-- > 0;) {
    const ReplicaShift done = shifts_[i];
    shift({done.expert, done.to, done.from});
  }
  shifts_.clear();
}

void ReplicaLayer::improve(ReplicaGoal goal, double tolerance, std::int64_t most_moved) {
  goal_ = goal;
  take_back();
  points_.clear();
  const auto note = [this] { points_.push_back({static_cast<std::uint32_t>(shifts_.size()), moved_, load_[busiest()]}); };
  note();
  if (!loaded_) return;
  while (points_.back().max_load > tolerance && step(most_moved - moved_)) note();
}

}  // namespace flexpert::placement
