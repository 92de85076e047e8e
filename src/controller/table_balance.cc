#include "controller/table_balance.h"

#include <algorithm>
#include <set>

#include "placement/balance.h"

namespace flexpert::controller {

std::vector<ReplicaMove> moves_between(const RoutingTable& from, const RoutingTable& to) {
  std::vector<ReplicaMove> moves;
  const auto holders = [](const RoutingTable& table, std::size_t slot) {
    std::set<InstanceId> ids;
    if (slot < table.replicas.size())
      for (const std::uint16_t e : table.replicas[slot]) ids.insert(table.endpoints[e].id);
    return ids;
  };
  for (std::size_t slot = 0; slot < to.replicas.size(); ++slot) {
    const std::set<InstanceId> before = holders(from, slot);
    const std::set<InstanceId> after = holders(to, slot);
    std::vector<InstanceId> lost;
    std::vector<InstanceId> got;
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(lost));
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(got));
    for (std::size_t i = 0; i < std::max(lost.size(), got.size()); ++i)
      moves.push_back({to.geometry.slot(slot), i < lost.size() ? lost[i] : InstanceId{}, i < got.size() ? got[i] : InstanceId{}});
  }
  return moves;
}

std::uint64_t arrivals(std::span<const ReplicaMove> moves) {
  return static_cast<std::uint64_t>(std::count_if(moves.begin(), moves.end(), [](const ReplicaMove& move) { return !move.to.value.empty(); }));
}

ExpertLayout layout_of(const RoutingTable& table) {
  ExpertLayout layout;
  layout.geometry = table.geometry;
  layout.slots_of_device.assign(table.endpoints.size(), 0);
  std::vector<std::vector<std::vector<std::int32_t>>> held(table.geometry.layers);  // [layer][device]: experts
  for (std::uint32_t layer = 0; layer < table.geometry.layers; ++layer) {
    held[layer].resize(table.endpoints.size());
    for (std::uint32_t expert = 0; expert < table.geometry.experts; ++expert)
      for (const std::uint16_t e : table.replicas[table.geometry.index({layer, expert})]) held[layer][e].push_back(static_cast<std::int32_t>(expert));
    for (std::size_t device = 0; device < held[layer].size(); ++device)
      layout.slots_of_device[device] = std::max(layout.slots_of_device[device], static_cast<std::uint32_t>(held[layer][device].size()));
  }
  for (const auto& layer : held) {
    for (std::size_t device = 0; device < layer.size(); ++device) {
      layout.expert_of_slot.insert(layout.expert_of_slot.end(), layer[device].begin(), layer[device].end());
      layout.expert_of_slot.resize(layout.expert_of_slot.size() + layout.slots_of_device[device] - layer[device].size(), kEmptySlot);
    }
  }
  return layout;
}

Balance balance_of(const RoutingTable& table, std::span<const double> loads) {
  if (table.endpoints.empty() || loads.size() != table.geometry.size()) return {};
  const ExpertLayout layout = layout_of(table);
  ExpertCluster cluster;
  for (const std::uint32_t slots : layout.slots_of_device) cluster.devices.push_back({.slots = slots});
  ExpertCounts counts{table.geometry, {loads.begin(), loads.end()}, 0};
  for (std::size_t slot = 0; slot < counts.count.size(); ++slot)
    if (table.replicas[slot].empty()) counts.count[slot] = 0;
  return placement::balance_of(layout, cluster, counts);
}

Balance balance_of_rows(const std::vector<std::vector<double>>& rows) {
  // Every server as a device with one slot, and on it an expert of its own.
  ExpertLayout layout;
  ExpertCluster cluster;
  ExpertCounts counts;
  const auto servers = static_cast<std::uint32_t>(rows.empty() ? 0 : rows[0].size());
  if (servers == 0) return {};
  cluster = ExpertCluster::uniform(servers, 1, 1);
  layout = trivial_layout({static_cast<std::uint32_t>(rows.size()), servers}, std::vector<std::uint32_t>(servers, 1));
  counts.geometry = layout.geometry;
  for (const auto& layer : rows) counts.count.insert(counts.count.end(), layer.begin(), layer.end());
  return placement::balance_of(layout, cluster, counts);
}

}  // namespace flexpert::controller
