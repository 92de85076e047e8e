#include "placement/affinity.h"

#include <algorithm>
#include <numeric>

namespace flexpert::placement {
namespace {

/// What a node can take.
struct NodeRoom {
  double speed = 0;
  std::uint32_t slots = 0;
};

std::vector<NodeRoom> rooms_of(const ExpertCluster& cluster) {
  std::vector<NodeRoom> out(cluster.nodes());
  for (const ExpertDevice& device : cluster.devices) {
    if (!device.alive || device.slots == 0) continue;
    out[device.node].speed += device.speed;
    out[device.node].slots += device.slots;
  }
  return out;
}

/// [groups][nodes]: the load that each node serves of each group.
std::vector<double> served(std::span<const std::int32_t> row, std::span<const double> load, const ExpertCluster& cluster,
                           std::uint32_t groups) {
  const std::uint32_t nodes = cluster.nodes();
  std::vector<std::uint32_t> replicas(load.size(), 0);
  for (const std::int32_t expert : row)
    if (expert != kEmptySlot) ++replicas[static_cast<std::size_t>(expert)];
  std::vector<double> out(static_cast<std::size_t>(groups) * nodes, 0.0);
  const std::size_t experts_per_group = load.size() / groups;
  std::size_t slot = 0;
  for (const ExpertDevice& device : cluster.devices)
    for (std::uint32_t s = 0; s < device.slots; ++s, ++slot)
      if (row[slot] != kEmptySlot) {
        const auto expert = static_cast<std::size_t>(row[slot]);
        out[expert / experts_per_group * nodes + device.node] += load[expert] / replicas[expert];
      }
  return out;
}

}  // namespace

std::vector<std::uint32_t> homes_of(std::span<const std::int32_t> row, std::span<const double> load, const ExpertCluster& cluster,
                                    std::uint32_t groups) {
  const std::uint32_t nodes = cluster.nodes();
  const std::vector<double> by_node = served(row, load, cluster, groups);
  std::vector<std::uint32_t> out(groups);
  for (std::uint32_t g = 0; g < groups; ++g) {
    const auto first = by_node.begin() + static_cast<std::ptrdiff_t>(g) * nodes;
    out[g] = static_cast<std::uint32_t>(std::max_element(first, first + nodes) - first);
  }
  return out;
}

NodeTraffic node_traffic(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts, std::uint32_t groups) {
  NodeTraffic out;
  double sum = 0;
  std::uint32_t loaded = 0;
  const std::uint32_t nodes = cluster.nodes();
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) {
    const auto load = counts.layer(l);
    const std::vector<std::uint32_t> home = homes_of(layout.layer(l), load, cluster, groups);
    out.home.insert(out.home.end(), home.begin(), home.end());
    const std::vector<double> by_node = served(layout.layer(l), load, cluster, groups);
    const double total = std::accumulate(by_node.begin(), by_node.end(), 0.0);
    if (total <= 0) continue;
    double at_home = 0;
    for (std::uint32_t g = 0; g < groups; ++g) at_home += by_node[static_cast<std::size_t>(g) * nodes + home[g]];
    sum += 1 - at_home / total;
    ++loaded;
  }
  if (loaded > 0) out.cross_node_share = std::max(0.0, sum / loaded);
  return out;
}

std::vector<std::uint32_t> assign_homes(std::span<const double> group_load, std::uint32_t experts_per_group, const ExpertCluster& cluster) {
  const std::vector<NodeRoom> rooms = rooms_of(cluster);
  const auto groups = static_cast<std::uint32_t>(group_load.size());
  std::uint32_t living = 0;
  for (const NodeRoom& room : rooms)
    if (room.speed > 0) ++living;
  const std::uint32_t most = living == 0 ? groups : (groups + living - 1) / living;
  std::vector<double> load(rooms.size(), 0.0);
  std::vector<std::uint32_t> held(rooms.size(), 0);
  std::vector<std::uint32_t> home(groups, 0);
  std::vector<std::uint32_t> order(groups);
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return group_load[a] > group_load[b]; });
  const auto full = [&](std::uint32_t n) {
    return held[n] >= most || (held[n] + 1) * static_cast<std::uint64_t>(experts_per_group) > rooms[n].slots;
  };
  for (const std::uint32_t g : order) {
    std::uint32_t best = UINT32_MAX;
    bool best_full = true;
    for (std::uint32_t n = 0; n < rooms.size(); ++n) {
      if (rooms[n].speed <= 0) continue;
      const double at = (load[n] + group_load[g]) / rooms[n].speed;
      if (best != UINT32_MAX && (full(n) > best_full || (full(n) == best_full && at >= (load[best] + group_load[g]) / rooms[best].speed)))
        continue;
      best = n;
      best_full = full(n);
    }
    if (best == UINT32_MAX) return home;
    home[g] = best;
    load[best] += group_load[g];
    ++held[best];
  }
  // The sum of load^2/speed falls with every exchange, so this ends.
  const auto gain = [&](std::uint32_t from, std::uint32_t to, double moved) {
    const auto square = [](double x) { return x * x; };
    return (square(load[from]) - square(load[from] - moved)) / rooms[from].speed +
           (square(load[to]) - square(load[to] + moved)) / rooms[to].speed;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (std::uint32_t g = 0; g < groups; ++g) {
      for (std::uint32_t n = 0; n < rooms.size(); ++n) {
        const std::uint32_t from = home[g];
        if (n == from || rooms[n].speed <= 0 || full(n) || gain(from, n, group_load[g]) <= 1e-9 * group_load[g] * group_load[g]) continue;
        load[from] -= group_load[g], --held[from];
        load[n] += group_load[g], ++held[n];
        home[g] = n;
        changed = true;
      }
      for (std::uint32_t h = 0; h < groups; ++h) {
        const double moved = group_load[g] - group_load[h];
        if (home[g] == home[h] || gain(home[g], home[h], moved) <= 1e-9 * moved * moved) continue;
        load[home[g]] -= moved;
        load[home[h]] += moved;
        std::swap(home[g], home[h]);
        changed = true;
      }
    }
  }
  return home;
}

}  // namespace flexpert::placement
