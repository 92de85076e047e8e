#include "routing/group_cover.h"

#include <algorithm>

namespace flexpert::routing {
namespace {

struct Usable {
  std::size_t endpoint = 0;
  LoadView load;
};

bool holds(const RoutingTable& table, ExpertSlot slot, std::size_t endpoint) {
  const auto& replicas = table.replicas[table.geometry.index(slot)];
  return std::find(replicas.begin(), replicas.end(), static_cast<std::uint16_t>(endpoint)) != replicas.end();
}

}  // namespace

std::vector<InstanceShare> cover_group(const std::vector<ExpertSlot>& slots, const RoutingTable& table, const InstanceLoad& load_of) {
  for (const ExpertSlot slot : slots)
    if (!table.geometry.contains(slot)) return {};
  std::vector<Usable> usable;
  for (std::size_t endpoint = 0; endpoint < table.endpoints.size(); ++endpoint)
    if (const auto load = load_of(table.endpoints[endpoint].id.value)) usable.push_back({endpoint, *load});

  std::vector<InstanceShare> shares;
  std::vector<ExpertSlot> left = slots;
  while (!left.empty()) {
    std::size_t most = 0;
    std::vector<std::size_t> tied;
    for (std::size_t i = 0; i < usable.size(); ++i) {
      const auto held = static_cast<std::size_t>(
          std::count_if(left.begin(), left.end(), [&](ExpertSlot slot) { return holds(table, slot, usable[i].endpoint); }));
      if (held == 0 || held < most) continue;
      if (held > most) tied.clear();
      most = held;
      tied.push_back(i);
    }
    if (most == 0) return {};
    std::vector<LoadView> loads;
    for (const std::size_t i : tied) loads.push_back(usable[i].load);
    const std::size_t chosen = usable[tied[*pick_least_loaded(loads)]].endpoint;
    InstanceShare share{table.endpoints[chosen].id.value, {}};
    std::vector<ExpertSlot> rest;
    for (const ExpertSlot slot : left) (holds(table, slot, chosen) ? share.slots : rest).push_back(slot);
    left = std::move(rest);
    shares.push_back(std::move(share));
  }
  return shares;
}

}  // namespace flexpert::routing
