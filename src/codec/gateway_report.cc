#include "codec/gateway_report.h"

#include <set>

#include "codec/fleet_json_reader.h"

namespace flexpert::codec {
namespace {

using fleet_json::Reader;
using fleet_json::to_json;
namespace json = boost::json;

constexpr std::size_t kMaxModels = 1'000;
constexpr std::size_t kMaxServers = 10'000;
constexpr std::size_t kMaxNameBytes = 512;

json::object sum_object(const GatewaySum& sum) {
  json::object out;
  out["sum"] = sum.sum;
  out["count"] = sum.count;
  return out;
}

json::object model_object(const GatewayModelLoad& load) {
  json::object out;
  out["model"] = to_json(load.model);
  out["offered"] = load.offered;
  out["finished"] = load.finished;
  out["failed"] = load.failed;
  out["isl"] = sum_object(load.isl);
  out["isl_estimated"] = load.isl_estimated;
  out["osl"] = sum_object(load.osl);
  out["ttft_s"] = sum_object(load.ttft_s);
  out["itl_s"] = sum_object(load.itl_s);
  out["duration_s"] = sum_object(load.duration_s);
  out["in_flight_s"] = load.in_flight_s;
  out["in_flight"] = load.in_flight;
  out["held"] = load.held;
  return out;
}

json::object server_object(const GatewayServerLoad& load) {
  json::object out;
  out["id"] = to_json(load.id);
  out["in_flight"] = load.in_flight;
  out["remaining_tokens"] = load.remaining_tokens;
  return out;
}

double amount(Reader& reader, std::string_view field) {
  const double value = reader.number(field);
  if (std::isfinite(value) && value >= 0) return value;
  reader.set(fmt::format("{}: must be a finite number of at least 0", reader.path_of(field)));
  return 0;
}

std::string name(Reader& reader, std::string_view field) {
  std::string text = reader.text(field);
  if (reader.ok() && (text.empty() || text.size() > kMaxNameBytes))
    reader.set(fmt::format("{}: must have 1 to {} bytes: {}", reader.path_of(field), kMaxNameBytes, text.size()));
  return text;
}

GatewaySum read_sum(Reader& reader, std::string_view field) {
  const json::value* value = reader.find(field);
  if (value == nullptr) return {};
  const json::object* object = value->if_object();
  if (object == nullptr) {
    reader.set(fmt::format("{}: must be an object of sum and count", reader.path_of(field)));
    return {};
  }
  Reader inner(*object, reader.path_of(field));
  GatewaySum out;
  out.sum = amount(inner, "sum");
  out.count = inner.integer<std::uint64_t>("count");
  reader.take(inner);
  return out;
}

GatewayModelLoad read_model(Reader& reader) {
  GatewayModelLoad out;
  out.model = name(reader, "model");
  out.offered = reader.integer<std::uint64_t>("offered");
  out.finished = reader.integer<std::uint64_t>("finished");
  out.failed = reader.integer<std::uint64_t>("failed");
  out.isl = read_sum(reader, "isl");
  out.isl_estimated = reader.integer<std::uint64_t>("isl_estimated");
  out.osl = read_sum(reader, "osl");
  out.ttft_s = read_sum(reader, "ttft_s");
  out.itl_s = read_sum(reader, "itl_s");
  out.duration_s = read_sum(reader, "duration_s");
  out.in_flight_s = amount(reader, "in_flight_s");
  out.in_flight = reader.integer<std::uint32_t>("in_flight");
  out.held = reader.integer<std::uint32_t>("held");
  return out;
}

GatewayServerLoad read_server(Reader& reader) {
  GatewayServerLoad out;
  out.id = name(reader, "id");
  out.in_flight = reader.integer<std::uint32_t>("in_flight");
  out.remaining_tokens = amount(reader, "remaining_tokens");
  return out;
}

/// Refuses lists that are too long before anything is made of them.
void bound(Reader& reader, std::string_view field, std::size_t most) {
  const std::size_t size = reader.array(field).size();
  if (size > most) reader.set(fmt::format("{}: at most {} entries: {}", reader.path_of(field), most, size));
}

}  // namespace

std::string encode(const GatewayReport& report) {
  json::object out;
  out["gateway"] = to_json(report.gateway);
  out["boot"] = report.boot;
  out["sequence"] = report.sequence;
  out["uptime_s"] = report.uptime_s;
  out["connections"] = report.connections;
  out["cpu_s"] = report.cpu_s;
  out["leaving"] = report.leaving;
  json::array& models = out["models"].emplace_array();
  for (const GatewayModelLoad& load : report.models) models.emplace_back(model_object(load));
  json::array& servers = out["servers"].emplace_array();
  for (const GatewayServerLoad& load : report.servers) servers.emplace_back(server_object(load));
  return json::serialize(out);
}

Result<GatewayReport> decode_gateway_report(std::string_view text) {
  FLEXPERT_ASSIGN(const json::value value, fleet_json::parse_object(text, "gateway report"));
  Reader reader(value.get_object(), "");
  GatewayReport out;
  out.gateway = name(reader, "gateway");
  out.boot = reader.integer<std::uint64_t>("boot");
  out.sequence = reader.integer<std::uint64_t>("sequence");
  out.uptime_s = amount(reader, "uptime_s");
  out.connections = reader.integer<std::uint32_t>("connections");
  out.cpu_s = amount(reader, "cpu_s");
  if (reader.has("leaving")) out.leaving = reader.boolean("leaving");
  bound(reader, "models", kMaxModels);
  bound(reader, "servers", kMaxServers);
  if (!reader.ok()) return fail(reader.error());
  out.models = fleet_json::read_objects<GatewayModelLoad>(reader, "models", read_model);
  out.servers = fleet_json::read_objects<GatewayServerLoad>(reader, "servers", read_server);
  std::set<std::string_view> seen;
  for (const GatewayModelLoad& load : out.models)
    if (!seen.insert(load.model).second) reader.set(fmt::format("models: \"{}\" is there twice", load.model));
  seen.clear();
  for (const GatewayServerLoad& load : out.servers)
    if (!seen.insert(load.id).second) reader.set(fmt::format("servers: \"{}\" is there twice", load.id));
  if (!reader.ok()) return fail(reader.error());
  return out;
}

}  // namespace flexpert::codec
