#include "fleet/routing_table.h"

#include <algorithm>
#include <set>

namespace flexpert {

Result<void> validate(const RoutingTable& table) {
  if (table.replicas.size() != table.geometry.size())
    return fail(ErrorCode::kInvalidArgument, "routing table: replicas must have one list per (layer, expert): {} wanted, {} given",
                table.geometry.size(), table.replicas.size());
  std::set<std::string> ids;
  for (const ExpertEndpoint& endpoint : table.endpoints) {
    if (endpoint.id.value.empty() || endpoint.address.empty())
      return fail(ErrorCode::kInvalidArgument, "routing table: an endpoint needs an id and an address");
    if (!ids.insert(endpoint.id.value).second)
      return fail(ErrorCode::kInvalidArgument, "routing table: duplicate endpoint id: {}", endpoint.id);
  }
  for (std::size_t index = 0; index < table.replicas.size(); ++index) {
    std::vector<std::uint16_t> sorted = table.replicas[index];
    std::sort(sorted.begin(), sorted.end());
    const ExpertSlot slot = table.geometry.slot(index);
    if (!sorted.empty() && sorted.back() >= table.endpoints.size())
      return fail(ErrorCode::kInvalidArgument, "routing table: layer {} expert {}: no endpoint {}: only {} are listed", slot.layer,
                  slot.expert, sorted.back(), table.endpoints.size());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      return fail(ErrorCode::kInvalidArgument, "routing table: layer {} expert {}: two replicas on one endpoint", slot.layer, slot.expert);
  }
  return {};
}

}  // namespace flexpert
