#include "flexpert/place_engine.h"

#include <algorithm>

#include <boost/json.hpp>

#include "codec/fleet_json.h"
#include "flexpert/fleet_api.h"
#include "http/client.h"

namespace flexpert::app {

namespace {

constexpr Duration kPatience = Seconds(10);

/// Returns the body of a 200, or nothing where the server does not know the target.
Result<std::optional<std::string>> body_if_known(const net::Address& address, const std::string& target) {
  auto answer = http::fetch(address, get(target), kPatience);
  if (!answer) return fail(answer.error());
  if (answer->status == 404 || answer->status == 405) return std::optional<std::string>();
  if (answer->status != 200)
    return fail(ErrorCode::kUnavailable, "engine answered HTTP {}: {}{}: {}", answer->status, address.to_string(), target,
                answer->body.substr(0, 200));
  return std::optional(std::move(answer->body));
}

/// The table by itself, or as the controller's answer holds it.
Result<RoutingTable> table_of(const std::string& body) {
  boost::system::error_code error;
  const boost::json::value root = boost::json::parse(body, error);
  const boost::json::object* object = error ? nullptr : root.if_object();
  const boost::json::value* routing = object == nullptr ? nullptr : object->if_contains("routing");
  return codec::decode_routing_table(routing == nullptr ? body : boost::json::serialize(*routing));
}

Result<EngineLayout> layout_of(const RoutingTable& table) {
  const ExpertGeometry geometry = table.geometry;
  EngineLayout out;
  for (const ExpertEndpoint& endpoint : table.endpoints) out.devices.push_back(endpoint.id.value);
  std::vector<std::vector<std::vector<std::int32_t>>> held(geometry.layers, std::vector<std::vector<std::int32_t>>(out.devices.size()));
  std::vector<std::uint32_t> slots(out.devices.size());
  for (std::size_t i = 0; i < table.replicas.size(); ++i) {
    const ExpertSlot at = geometry.slot(i);
    if (table.replicas[i].empty())
      return fail(ErrorCode::kFailedPrecondition,
                  "no expert server holds expert {} of layer {}: the model server computes it itself, so there is no layout to read",
                  at.expert, at.layer);
    for (const std::uint16_t device : table.replicas[i]) {
      held[at.layer][device].push_back(static_cast<std::int32_t>(at.expert));
      slots[device] = std::max(slots[device], static_cast<std::uint32_t>(held[at.layer][device].size()));
    }
  }
  out.layout.geometry = geometry;
  out.layout.slots_of_device = slots;
  for (const auto& layer : held)
    for (std::size_t device = 0; device < slots.size(); ++device)
      for (std::uint32_t slot = 0; slot < slots[device]; ++slot)
        out.layout.expert_of_slot.push_back(slot < layer[device].size() ? layer[device][slot] : kEmptySlot);
  return out;
}

}  // namespace

Result<ExpertCounts> engine_counts(const net::Address& address) {
  FLEXPERT_ASSIGN(const std::optional<std::string> body, body_if_known(address, "/internal/expert-loads"));
  if (!body)
    return fail(ErrorCode::kNotFound,
                "no /internal/expert-loads there: counts come from a model server (`flexpert serve`); from SGLang with `flexpert place "
                "record --via sglang`: {}",
                address.to_string());
  FLEXPERT_ASSIGN(const codec::ExpertLoadReport report, codec::decode_expert_load_report(*body));
  return ExpertCounts{report.geometry, std::vector<double>(report.rows.begin(), report.rows.end()), report.tokens};
}

Result<EngineLayout> engine_layout(const net::Address& address) {
  for (const char* target : {"/api/v1/placement", "/internal/routing-table"}) {
    FLEXPERT_ASSIGN(const std::optional<std::string> body, body_if_known(address, target));
    if (!body) continue;
    auto table = table_of(*body);
    if (!table) return fail(table.error().with_context(address.to_string() + target));
    auto layout = layout_of(*table);
    if (!layout) return fail(layout.error().with_context(address.to_string() + target));
    return layout;
  }
  return fail(ErrorCode::kNotFound, "neither a controller (/api/v1/placement) nor a model server (/internal/routing-table): {}",
              address.to_string());
}

}  // namespace flexpert::app
