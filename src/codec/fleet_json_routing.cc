#include "codec/fleet_json_routing.h"

namespace flexpert::codec::fleet_json {
namespace {

ExpertEndpoint read_endpoint(Reader& reader) {
  ExpertEndpoint out;
  out.id.value = reader.text("id");
  out.address = reader.text("address");
  return out;
}

}  // namespace

json::object routing_object(const RoutingTable& table) {
  json::object out;
  out["epoch"] = table.epoch;
  out["layers"] = table.geometry.layers;
  out["experts"] = table.geometry.experts;
  json::array& endpoints = out["endpoints"].emplace_array();
  for (const ExpertEndpoint& endpoint : table.endpoints) {
    json::object object;
    object["id"] = to_json(endpoint.id.value);
    object["address"] = to_json(endpoint.address);
    endpoints.emplace_back(std::move(object));
  }
  json::array& replicas = out["replicas"].emplace_array();
  replicas.reserve(table.replicas.size());
  for (const std::vector<std::uint16_t>& list : table.replicas) {
    json::array indices;
    for (const std::uint16_t index : list) indices.emplace_back(index);
    replicas.emplace_back(std::move(indices));
  }
  return out;
}

Result<RoutingTable> read_routing(Reader& reader) {
  RoutingTable table;
  table.epoch = reader.integer<std::uint64_t>("epoch");
  table.geometry.layers = reader.integer<std::uint32_t>("layers");
  table.geometry.experts = reader.integer<std::uint32_t>("experts");
  const json::array& endpoints = reader.array("endpoints");
  for (std::size_t i = 0; i < endpoints.size() && reader.ok(); ++i) {
    const std::string path = fmt::format("{}[{}]", reader.path_of("endpoints"), i);
    const json::object* object = endpoints[i].if_object();
    if (object == nullptr) {
      reader.set(fmt::format("{}: must be an object", path));
      break;
    }
    Reader inner(*object, path);
    table.endpoints.push_back(read_endpoint(inner));
    reader.take(inner);
  }
  const json::array& replicas = reader.array("replicas");
  table.replicas.reserve(replicas.size());
  for (std::size_t i = 0; i < replicas.size() && reader.ok(); ++i) {
    const std::string path = fmt::format("{}[{}]", reader.path_of("replicas"), i);
    const json::array* list = replicas[i].if_array();
    if (list == nullptr) {
      reader.set(fmt::format("{}: must be a list of endpoint indices", path));
      break;
    }
    std::vector<std::uint16_t>& indices = table.replicas.emplace_back();
    for (const json::value& index : *list) indices.push_back(reader.checked<std::uint16_t>(index, path));
  }
  if (!reader.ok()) return fail(reader.error());
  FLEXPERT_TRY(validate(table));
  return table;
}

}  // namespace flexpert::codec::fleet_json
