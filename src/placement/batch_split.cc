#include "placement/batch_split.h"

#include <algorithm>
#include <numeric>

#include "fleet/expert_layout.h"

namespace flexpert::placement {

BatchSplit::BatchSplit(std::span<const std::int32_t> expert_of_slot, std::uint32_t experts, const ExpertCluster& cluster) {
  const auto devices = static_cast<std::uint32_t>(cluster.devices.size());
  std::vector<std::vector<Replica>> lists(experts);
  std::uint32_t slot = 0;
  for (std::uint32_t d = 0; d < devices; ++d) {
    slowness_.push_back(1 / cluster.devices[d].speed);
    for (std::uint32_t i = 0; i < cluster.devices[d].slots; ++i, ++slot)
      if (cluster.devices[d].alive && expert_of_slot[slot] != kEmptySlot)
        lists[static_cast<std::size_t>(expert_of_slot[slot])].push_back({slot, d});
  }
  first_.push_back(0);
  first_at_.assign(devices + 1, 0);
  std::size_t most = 0;
  for (std::uint32_t e = 0; e < experts; ++e) {
    most = std::max(most, lists[e].size());
    if (lists[e].size() == 1) single_.push_back(e);
    if (lists[e].size() > 1) shared_.push_back(e);
    for (const Replica& replica : lists[e]) {
      if (lists[e].size() > 1) ++first_at_[replica.device + 1];
      replicas_.push_back(replica);
      expert_.push_back(e);
    }
    first_.push_back(static_cast<std::uint32_t>(replicas_.size()));
  }
  std::partial_sum(first_at_.begin(), first_at_.end(), first_at_.begin());
  at_.resize(first_at_.back());
  std::vector<std::uint32_t> next(first_at_.begin(), first_at_.end() - 1);
  for (const std::uint32_t e : shared_)
    for (std::uint32_t r = first_[e]; r < first_[e + 1]; ++r) at_[next[replicas_[r].device]++] = r;
  share_.resize(replicas_.size());
  device_rows_.resize(devices);
  order_.reserve(shared_.size());
  by_load_.reserve(most);
  came_by_.resize(devices);
  reached_in_.assign(devices, 0);
  queue_.reserve(devices);
}

void BatchSplit::split(std::span<const std::uint32_t> rows) {
  std::fill(device_rows_.begin(), device_rows_.end(), 0U);
  for (const std::uint32_t e : single_) {
    share_[first_[e]] = rows[e];
    device_rows_[replicas_[first_[e]].device] += rows[e];
  }
  order_.clear();
  for (const std::uint32_t e : shared_) {
    if (rows[e] > 0) {
      order_.push_back(e);
    } else {
      for (std::uint32_t r = first_[e]; r < first_[e + 1]; ++r) share_[r] = 0;
    }
  }
  std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) { return rows[a] != rows[b] ? rows[a] > rows[b] : a < b; });
  for (const std::uint32_t e : order_) fill(e, rows[e]);
  while (relieve_busiest()) {
  }
}

/// Gives an expert's rows so that its replicas' devices end as level as their loads so far allow.
void BatchSplit::fill(std::uint32_t expert, std::uint32_t rows) {
  by_load_.clear();
  for (std::uint32_t r = first_[expert]; r < first_[expert + 1]; ++r) {
    // Insertion by load: a handful of replicas each.
    by_load_.push_back(r);
    const double at = load(replicas_[r].device, 0);
    std::size_t i = by_load_.size() - 1;
    for (; i > 0 && load(replicas_[by_load_[i - 1]].device, 0) > at; --i) by_load_[i] = by_load_[i - 1];
    by_load_[i] = r;
    share_[r] = 0;
  }
  double speed = 0;
  double sum = rows;
  double level = 0;
  std::size_t used = 0;
  for (; used < by_load_.size(); ++used) {
    const std::uint32_t d = replicas_[by_load_[used]].device;
    if (used > 0 && load(d, 0) >= level) break;
    // Two replicas of one expert on a device fill the same room.
    if (used > 0 && replicas_[by_load_[used - 1]].device == d) continue;
    speed += 1 / slowness_[d];
    sum += device_rows_[d];
    level = sum / speed;
  }
  std::uint32_t left = rows;
  for (std::size_t i = 0; i < used && left > 0; ++i) {
    const std::uint32_t r = by_load_[i];
    const std::uint32_t d = replicas_[r].device;
    const double room = level / slowness_[d] - device_rows_[d];
    if (!(room >= 1)) continue;
    const std::uint32_t given = std::min(left, static_cast<std::uint32_t>(room));
    share_[r] = given;
    device_rows_[d] += given;
    left -= given;
  }
  for (; left > 0; --left) {
    std::uint32_t best = by_load_[0];
    for (std::size_t i = 1; i < by_load_.size(); ++i)
      if (load(replicas_[by_load_[i]].device, 1) < load(replicas_[best].device, 1)) best = by_load_[i];
    ++share_[best];
    ++device_rows_[replicas_[best].device];
  }
}

/// Searches from the busiest device, over experts that it shares with others, for the nearest device that stays below it
/// with one row more, and shifts rows there. Returns false when there is none.
bool BatchSplit::relieve_busiest() {
  std::uint32_t busiest = 0;
  for (std::uint32_t d = 1; d < device_rows_.size(); ++d)
    if (load(d, 0) > load(busiest, 0)) busiest = d;
  const double most = load(busiest, 0);
  if (++search_ == 0) {
    std::fill(reached_in_.begin(), reached_in_.end(), 0U);
    search_ = 1;
  }
  queue_.clear();
  queue_.push_back(busiest);
  reached_in_[busiest] = search_;
  for (std::size_t head = 0; head < queue_.size(); ++head) {
    const std::uint32_t d = queue_[head];
    for (std::uint32_t k = first_at_[d]; k < first_at_[d + 1]; ++k) {
      const std::uint32_t gives = at_[k];
      if (share_[gives] == 0) continue;
      const std::uint32_t e = expert_[gives];
      for (std::uint32_t gets = first_[e]; gets < first_[e + 1]; ++gets) {
        const std::uint32_t to = replicas_[gets].device;
        if (reached_in_[to] == search_) continue;
        reached_in_[to] = search_;
        came_by_[to] = {gives, gets};
        if (load(to, 1) < most) {
          shift(busiest, to);
          return true;
        }
        queue_.push_back(to);
      }
    }
  }
  return false;
}

/// Shifts as many rows along the steps found as make the two ends level, at least one.
void BatchSplit::shift(std::uint32_t from, std::uint32_t to) {
  const double level = (device_rows_[from] + device_rows_[to]) / (1 / slowness_[from] + 1 / slowness_[to]);
  const double level_rows = level / slowness_[to] - device_rows_[to];
  std::uint32_t amount = level_rows >= 1 ? static_cast<std::uint32_t>(level_rows) : 1;
  for (std::uint32_t d = to; d != from; d = replicas_[came_by_[d].gives].device) amount = std::min(amount, share_[came_by_[d].gives]);
  for (std::uint32_t d = to; d != from; d = replicas_[came_by_[d].gives].device) {
    share_[came_by_[d].gives] -= amount;
    share_[came_by_[d].gets] += amount;
  }
  device_rows_[from] -= amount;
  device_rows_[to] += amount;
}

}  // namespace flexpert::placement
