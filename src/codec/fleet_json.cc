#include "codec/fleet_json.h"

#include <array>

#include "codec/fleet_json_reader.h"
#include "codec/fleet_json_routing.h"

namespace flexpert::codec {
namespace {

using fleet_json::Reader;
using fleet_json::to_json;
using fleet_json::to_json_number;
namespace json = boost::json;

constexpr std::array kRoles{InstanceRole::kModelServer, InstanceRole::kExpertServer, InstanceRole::kUpstream, InstanceRole::kGateway};
constexpr std::array kStates{InstanceState::kStarting, InstanceState::kWarm,    InstanceState::kReady,
                             InstanceState::kDraining, InstanceState::kStopped, InstanceState::kFailed};

template <class Enum, std::size_t N>
Enum named(Reader& reader, std::string_view field, const std::array<Enum, N>& all) {
  const std::string name = reader.text(field);
  for (const Enum value : all)
    if (name == name_of(value)) return value;
  std::string allowed;
  for (const Enum value : all) allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", name_of(value));
  reader.set(fmt::format("{}: must be one of {}: \"{}\"", reader.path_of(field), allowed, name));
  return all.front();
}

json::object instance_object(const InstanceStatus& instance) {
  json::object out;
  out["id"] = to_json(instance.id.value);
  out["role"] = name_of(instance.role);
  out["state"] = name_of(instance.state);
  out["model"] = to_json(instance.model);
  out["address"] = to_json(instance.address);
  out["pid"] = instance.pid;
  out["restarts"] = instance.restarts;
  out["slots"] = instance.slots;
  out["rows_per_s"] = to_json_number(instance.rows_per_s);
  out["pace_rows_per_s"] = to_json_number(instance.pace_rows_per_s);
  out["running"] = instance.running;
  out["queued"] = instance.queued;
  out["last_error"] = to_json(instance.last_error);
  return out;
}

InstanceStatus read_instance(Reader& reader) {
  InstanceStatus out;
  out.id.value = reader.text("id");
  out.role = named(reader, "role", kRoles);
  out.state = named(reader, "state", kStates);
  out.model = reader.text("model");
  out.address = reader.text("address");
  out.pid = reader.integer<std::int64_t>("pid");
  out.restarts = reader.integer<std::uint32_t>("restarts");
  out.slots = reader.integer<std::uint32_t>("slots");
  out.rows_per_s = reader.number("rows_per_s");
  out.pace_rows_per_s = reader.number("pace_rows_per_s");
  out.running = reader.integer<std::uint32_t>("running");
  out.queued = reader.integer<std::uint32_t>("queued");
  out.last_error = reader.text("last_error");
  return out;
}

json::object expert_object(const ExpertStatus& expert) {
  json::object out;
  out["layer"] = expert.slot.layer;
  out["expert"] = expert.slot.expert;
  out["rows_per_s"] = to_json_number(expert.rows_per_s);
  out["utilisation"] = to_json_number(expert.utilisation);
  out["replicas"] = expert.replicas;
  return out;
}

ExpertStatus read_expert(Reader& reader) {
  ExpertStatus out;
  out.slot.layer = reader.integer<std::uint32_t>("layer");
  out.slot.expert = reader.integer<std::uint32_t>("expert");
  out.rows_per_s = reader.number("rows_per_s");
  out.utilisation = reader.number("utilisation");
  out.replicas = reader.integer<std::uint32_t>("replicas");
  return out;
}

json::object pool_object(const PoolBrief& pool) {
  json::object out;
  out["pool"] = to_json(pool.pool);
  out["model"] = to_json(pool.model);
  out["wanted"] = pool.wanted;
  out["ready"] = pool.ready;
  return out;
}

PoolBrief read_pool(Reader& reader) {
  PoolBrief out;
  out.pool = reader.text("pool");
  out.model = reader.text("model");
  out.wanted = reader.integer<std::uint32_t>("wanted");
  out.ready = reader.integer<std::uint32_t>("ready");
  return out;
}

}  // namespace

std::string encode(const RoutingTable& table) { return json::serialize(fleet_json::routing_object(table)); }

Result<RoutingTable> decode_routing_table(std::string_view text) {
  FLEXPERT_ASSIGN(const json::value value, fleet_json::parse_object(text, "routing table"));
  Reader reader(value.get_object(), "");
  return fleet_json::read_routing(reader);
}

std::string encode(const FleetSnapshot& snapshot) {
  json::object out;
  out["revision"] = snapshot.revision;
  out["unix_ms"] = snapshot.unix_ms;
  out["model"] = to_json(snapshot.model);
  json::array& instances = out["instances"].emplace_array();
  for (const InstanceStatus& instance : snapshot.instances) instances.emplace_back(instance_object(instance));
  json::array& experts = out["experts"].emplace_array();
  for (const ExpertStatus& expert : snapshot.experts) experts.emplace_back(expert_object(expert));
  out["routing"] = snapshot.routing ? json::value(fleet_json::routing_object(*snapshot.routing)) : json::value(nullptr);
  out["replica_capacity_rows_per_s"] = to_json_number(snapshot.replica_capacity_rows_per_s);
  out["capacity_source"] = to_json(snapshot.capacity_source);
  json::array& pools = out["pools"].emplace_array();
  for (const PoolBrief& pool : snapshot.pools) pools.emplace_back(pool_object(pool));
  return json::serialize(out);
}

Result<FleetSnapshot> decode_fleet_snapshot(std::string_view text) {
  FLEXPERT_ASSIGN(const json::value value, fleet_json::parse_object(text, "fleet snapshot"));
  Reader reader(value.get_object(), "");
  FleetSnapshot out;
  out.revision = reader.integer<std::uint64_t>("revision");
  out.unix_ms = reader.integer<std::int64_t>("unix_ms");
  out.model = reader.text("model");
  out.instances = read_objects<InstanceStatus>(reader, "instances", read_instance);
  out.experts = read_objects<ExpertStatus>(reader, "experts", read_expert);
  const json::value* routing = reader.find("routing");
  if (routing != nullptr && !routing->is_null()) {
    const json::object* object = routing->if_object();
    if (object == nullptr) return fail(ErrorCode::kInvalidArgument, "routing: must be an object or null");
    Reader inner(*object, "routing");
    FLEXPERT_ASSIGN(out.routing, fleet_json::read_routing(inner));
  }
  out.replica_capacity_rows_per_s = reader.number("replica_capacity_rows_per_s");
  out.capacity_source = reader.text("capacity_source");
  // A controller of before pools has none.
  if (reader.has("pools")) out.pools = read_objects<PoolBrief>(reader, "pools", read_pool);
  if (!reader.ok()) return fail(reader.error());
  return out;
}

std::string encode(const ExpertLoadReport& report) {
  json::object out;
  out["model"] = to_json(report.model);
  out["unix_ms"] = report.unix_ms;
  out["steps"] = report.steps;
  out["tokens"] = report.tokens;
  out["layers"] = report.geometry.layers;
  out["experts"] = report.geometry.experts;
  json::array& rows = out["rows"].emplace_array();
  rows.reserve(report.rows.size());
  for (const std::uint64_t count : report.rows) rows.emplace_back(count);
  if (!report.in_process_rows.empty()) {
    json::array& own = out["in_process_rows"].emplace_array();
    for (const std::uint64_t count : report.in_process_rows) own.emplace_back(count);
  }
  return json::serialize(out);
}

Result<ExpertLoadReport> decode_expert_load_report(std::string_view text) {
  FLEXPERT_ASSIGN(const json::value value, fleet_json::parse_object(text, "expert loads"));
  Reader reader(value.get_object(), "");
  ExpertLoadReport out;
  out.model = reader.text("model");
  out.unix_ms = reader.integer<std::int64_t>("unix_ms");
  out.steps = reader.integer<std::uint64_t>("steps");
  out.tokens = reader.integer<std::uint64_t>("tokens");
  out.geometry.layers = reader.integer<std::uint32_t>("layers");
  out.geometry.experts = reader.integer<std::uint32_t>("experts");
  const auto read_counters = [&](std::string_view name, std::vector<std::uint64_t>& counters) {
    const json::array& rows = reader.array(name);
    if (reader.ok() && rows.size() != out.geometry.size())
      reader.set(fmt::format("{}: must have layers * experts = {} counters: {}", name, out.geometry.size(), rows.size()));
    counters.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size() && reader.ok(); ++i)
      counters.push_back(reader.checked<std::uint64_t>(rows[i], fmt::format("{}[{}]", name, i)));
  };
  read_counters("rows", out.rows);
  // A server of before them says none.
  if (reader.has("in_process_rows")) read_counters("in_process_rows", out.in_process_rows);
  if (!reader.ok()) return fail(reader.error());
  return out;
}

}  // namespace flexpert::codec
