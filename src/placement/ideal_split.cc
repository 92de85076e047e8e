#include "placement/ideal_split.h"

#include <algorithm>
#include <numeric>

#include "fleet/expert_layout.h"

namespace flexpert::placement {
namespace {

/// Up to here all subsets of devices are looked at; beyond, a flow is quicker.
constexpr std::size_t kSubsetDevices = 10;
constexpr std::uint32_t kUnreached = UINT32_MAX;
constexpr std::uint32_t kStart = UINT32_MAX - 1;

}  // namespace

IdealSplit::IdealSplit(std::span<const std::int32_t> expert_of_slot, std::uint32_t experts, const ExpertCluster& cluster) {
  std::vector<std::vector<std::uint32_t>> holders(experts);
  std::size_t slot = 0;
  tight_.assign(cluster.devices.size(), 0);
  for (std::uint32_t d = 0; d < cluster.devices.size(); ++d) {
    const ExpertDevice& device = cluster.devices[d];
    const auto number = static_cast<std::uint32_t>(speed_.size());
    for (std::uint32_t i = 0; i < device.slots; ++i, ++slot) {
      if (!device.alive || expert_of_slot[slot] == kEmptySlot) continue;
      auto& list = holders[static_cast<std::size_t>(expert_of_slot[slot])];
      if (list.empty() || list.back() != number) list.push_back(number);
    }
    if (!device.alive) continue;
    speed_.push_back(device.speed);
    number_.push_back(d);
  }
  first_edge_.push_back(0);
  first_at_.assign(speed_.size() + 1, 0);
  for (std::uint32_t e = 0; e < experts; ++e) {
    for (const std::uint32_t d : holders[e]) {
      device_.push_back(d);
      expert_.push_back(e);
      ++first_at_[d + 1];
    }
    first_edge_.push_back(static_cast<std::uint32_t>(device_.size()));
  }
  std::partial_sum(first_at_.begin(), first_at_.end(), first_at_.begin());
  at_.resize(device_.size());
  std::iota(at_.begin(), at_.end(), 0U);
  std::stable_sort(at_.begin(), at_.end(), [&](std::uint32_t a, std::uint32_t b) { return device_[a] < device_[b]; });
  if (speed_.size() <= kSubsetDevices) {
    subset_.resize(std::size_t{1} << speed_.size());
  } else {
    flow_.resize(device_.size());
    left_.resize(experts);
    room_.resize(speed_.size());
    reached_by_.resize(speed_.size());
    queue_.reserve(speed_.size());
  }
}

double IdealSplit::max_load(std::span<const double> loads) { return subset_.empty() ? by_flow(loads) : by_subsets(loads); }

double IdealSplit::by_subsets(std::span<const double> loads) {
  std::fill(subset_.begin(), subset_.end(), 0.0);
  for (std::size_t e = 0; e < loads.size(); ++e) {
    std::size_t holders = 0;
    for (std::uint32_t i = first_edge_[e]; i < first_edge_[e + 1]; ++i) holders |= std::size_t{1} << device_[i];
    if (holders != 0) subset_[holders] += loads[e];
  }
  // subset_[T] becomes the load of the experts that only devices of T hold.
  for (std::size_t bit = 1; bit < subset_.size(); bit <<= 1)
    for (std::size_t block = 0; block < subset_.size(); block += bit << 1)
      for (std::size_t i = block; i < block + bit; ++i) subset_[i + bit] += subset_[i];
  double most = 0;
  std::size_t tightest = subset_.size() - 1;
  for (std::size_t subset = subset_.size() - 1; subset > 0; --subset) {
    double speed = 0;
    for (std::size_t d = 0; d < speed_.size(); ++d)
      if ((subset >> d & 1) != 0) speed += speed_[d];
    if (subset_[subset] > most * speed) most = subset_[subset] / speed, tightest = subset;
  }
  for (std::size_t d = 0; d < speed_.size(); ++d) tight_[number_[d]] = tightest >> d & 1;
  return most;
}

/// Discrete Newton iteration (Dinkelbach): a level below the optimum leaves a cut, whose ratio is the next level.
double IdealSplit::by_flow(std::span<const double> loads) {
  const std::size_t experts = first_edge_.size() - 1;
  double total = 0;
  std::fill(flow_.begin(), flow_.end(), 0.0);
  for (std::size_t e = 0; e < experts; ++e) {
    left_[e] = first_edge_[e] == first_edge_[e + 1] ? 0 : loads[e];
    total += left_[e];
  }
  for (const std::uint32_t d : number_) tight_[d] = 1;
  if (total <= 0) return 0;
  least_ = total * 1e-13;
  double level = total / std::accumulate(speed_.begin(), speed_.end(), 0.0);
  for (std::size_t d = 0; d < speed_.size(); ++d) room_[d] = level * speed_[d];
  while (!saturate()) {
    double load = 0;
    double speed = 0;
    for (std::size_t d = 0; d < speed_.size(); ++d)
      if (reached_by_[d] != kUnreached) speed += speed_[d];
    for (std::size_t e = 0; e < experts; ++e) {
      bool inside = first_edge_[e] != first_edge_[e + 1];
      for (std::uint32_t i = first_edge_[e]; inside && i < first_edge_[e + 1]; ++i) inside = reached_by_[device_[i]] != kUnreached;
      if (inside) load += loads[e];
    }
    const double next = load / speed;
    if (!(next > level * (1 + 1e-12))) break;
    for (std::size_t d = 0; d < speed_.size(); ++d) {
      room_[d] += (next - level) * speed_[d];
      tight_[number_[d]] = reached_by_[d] != kUnreached ? 1 : 0;
    }
    level = next;
  }
  return level;
}

/// Sends what is left as far as it goes. Returns false if something stays, with reached_by_ set on the side of the cut
/// that is too small for its experts.
bool IdealSplit::saturate() {
  const auto experts = static_cast<std::uint32_t>(left_.size());
  for (std::uint32_t e = 0; e < experts; ++e) {
    while (left_[e] > least_) {
      if (augment(e) == 0) return false;
    }
  }
  return true;
}

/// Sends load of `source` over a shortest path to a device with room; returns the amount, 0 when there is none.
double IdealSplit::augment(std::uint32_t source) {
  std::fill(reached_by_.begin(), reached_by_.end(), kUnreached);
  queue_.clear();
  for (std::uint32_t i = first_edge_[source]; i < first_edge_[source + 1]; ++i) {
    reached_by_[device_[i]] = kStart;
    queue_.push_back(device_[i]);
  }
  for (std::size_t head = 0; head < queue_.size(); ++head) {
    const std::uint32_t d = queue_[head];
    if (room_[d] > least_) {
      const auto edge_on = [&](std::uint32_t expert, std::uint32_t device) {
        std::uint32_t i = first_edge_[expert];
        while (device_[i] != device) ++i;
        return i;
      };
      // An edge of reached_by_ leads from the device that holds its flow now; each step back frees room there.
      double amount = std::min(left_[source], room_[d]);
      for (std::uint32_t at = d; reached_by_[at] != kStart; at = device_[reached_by_[at]])
        amount = std::min(amount, flow_[reached_by_[at]]);
      std::uint32_t at = d;
      for (; reached_by_[at] != kStart; at = device_[reached_by_[at]]) {
        flow_[edge_on(expert_[reached_by_[at]], at)] += amount;
        flow_[reached_by_[at]] -= amount;
      }
      flow_[edge_on(source, at)] += amount;
      room_[d] -= amount;
      left_[source] -= amount;
      return amount;
    }
    for (std::uint32_t k = first_at_[d]; k < first_at_[d + 1]; ++k) {
      const std::uint32_t held = at_[k];
      if (flow_[held] <= least_) continue;
      const std::uint32_t e = expert_[held];
      for (std::uint32_t i = first_edge_[e]; i < first_edge_[e + 1]; ++i) {
        if (reached_by_[device_[i]] != kUnreached) continue;
        reached_by_[device_[i]] = held;
        queue_.push_back(device_[i]);
      }
    }
  }
  return 0;
}

double ideal_max_load(std::span<const double> loads, std::span<const std::int32_t> expert_of_slot, const ExpertCluster& cluster) {
  return IdealSplit(expert_of_slot, static_cast<std::uint32_t>(loads.size()), cluster).max_load(loads);
}

}  // namespace flexpert::placement
