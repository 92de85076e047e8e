#include "codec/webhook_messages.h"

#include <array>
#include <set>

#include "codec/fleet_json_reader.h"
#include "codec/reason_json.h"

namespace flexpert::codec {
namespace {

using fleet_json::read_reason;
using fleet_json::reason_object;

using fleet_json::Reader;
using fleet_json::to_json;
using fleet_json::to_json_number;
namespace json = boost::json;

constexpr std::size_t kMaxInstances = 10'000;
constexpr std::size_t kMaxTextBytes = 1024;
constexpr std::array kStates{InstanceState::kStarting, InstanceState::kWarm,    InstanceState::kReady,
                             InstanceState::kDraining, InstanceState::kStopped, InstanceState::kFailed};

std::string bounded(Reader& reader, std::string_view field, bool may_be_empty = false) {
  std::string text = reader.text(field);
  if (reader.ok() && (text.size() > kMaxTextBytes || (text.empty() && !may_be_empty)))
    reader.set(fmt::format("{}: must have {} to {} bytes: {}", reader.path_of(field), may_be_empty ? 0 : 1, kMaxTextBytes, text.size()));
  return text;
}

WebhookPool read_pool(Reader& reader) {
  WebhookPool out;
  out.pool.value = bounded(reader, "pool");
  out.model = bounded(reader, "model", true);
  out.desired = reader.integer<std::uint32_t>("desired");
  const json::array& drain = reader.array("drain");
  for (std::size_t i = 0; i < drain.size() && reader.ok(); ++i) {
    const json::string* id = drain[i].if_string();
    if (id == nullptr) {
      reader.set(fmt::format("{}[{}]: must be a string", reader.path_of("drain"), i));
    } else {
      out.drain.push_back({std::string(id->data(), id->size())});
    }
  }
  out.drain_deadline_s = reader.number("drain_deadline_s");
  out.reasons = fleet_json::read_objects<Reason>(reader, "reasons", read_reason);
  return out;
}

InstanceState read_state(Reader& reader) {
  const std::string text = reader.text("state");
  for (const InstanceState state : kStates)
    if (text == name_of(state)) return state;
  std::string allowed;
  for (const InstanceState state : kStates) allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", name_of(state));
  reader.set(fmt::format("{}: must be one of {}: \"{}\"", reader.path_of("state"), allowed, text.substr(0, 60)));
  return InstanceState::kStarting;
}

WebhookInstance read_instance(Reader& reader) {
  WebhookInstance out;
  out.id.value = bounded(reader, "id");
  out.state = read_state(reader);
  if (reader.has("address")) out.address = bounded(reader, "address", true);
  if (reader.has("error")) out.error = bounded(reader, "error", true);
  return out;
}

}  // namespace

std::string encode(const WebhookDesired& desired) {
  json::object out;
  out["type"] = "flexpert.pools.desired";
  out["revision"] = desired.revision;
  out["unix_ms"] = desired.unix_ms;
  json::array& pools = out["pools"].emplace_array();
  for (const WebhookPool& pool : desired.pools) {
    json::object item;
    item["pool"] = to_json(pool.pool.value);
    item["model"] = to_json(pool.model);
    item["desired"] = pool.desired;
    json::array& drain = item["drain"].emplace_array();
    for (const InstanceId& id : pool.drain) drain.emplace_back(to_json(id.value));
    item["drain_deadline_s"] = pool.drain_deadline_s;
    json::array& reasons = item["reasons"].emplace_array();
    for (const Reason& reason : pool.reasons) reasons.emplace_back(reason_object(reason));
    pools.emplace_back(std::move(item));
  }
  return json::serialize(out);
}

Result<WebhookDesired> decode_webhook_desired(std::string_view text) {
  FLEXPERT_ASSIGN(const json::value value, fleet_json::parse_object(text, "desired state"));
  Reader reader(value.get_object(), "");
  WebhookDesired out;
  out.revision = reader.integer<std::uint64_t>("revision");
  out.unix_ms = reader.integer<std::int64_t>("unix_ms");
  out.pools = fleet_json::read_objects<WebhookPool>(reader, "pools", read_pool);
  if (!reader.ok()) return fail(reader.error());
  return out;
}

std::string encode(const WebhookProgress& progress) {
  json::object out;
  out["pool"] = to_json(progress.pool.value);
  out["revision"] = progress.revision;
  out["sequence"] = progress.sequence;
  json::array& instances = out["instances"].emplace_array();
  for (const WebhookInstance& instance : progress.instances) {
    json::object item;
    item["id"] = to_json(instance.id.value);
    item["state"] = name_of(instance.state);
    item["address"] = to_json(instance.address);
    item["error"] = to_json(instance.error);
    instances.emplace_back(std::move(item));
  }
  return json::serialize(out);
}

Result<WebhookProgress> decode_webhook_progress(std::string_view text) {
  FLEXPERT_ASSIGN(const json::value value, fleet_json::parse_object(text, "progress"));
  Reader reader(value.get_object(), "");
  WebhookProgress out;
  out.pool.value = bounded(reader, "pool");
  out.revision = reader.integer<std::uint64_t>("revision");
  out.sequence = reader.integer<std::uint64_t>("sequence");
  if (const std::size_t count = reader.array("instances").size(); count > kMaxInstances)
    reader.set(fmt::format("instances: at most {} entries: {}", kMaxInstances, count));
  if (!reader.ok()) return fail(reader.error());
  out.instances = fleet_json::read_objects<WebhookInstance>(reader, "instances", read_instance);
  std::set<std::string_view> seen;
  for (const WebhookInstance& instance : out.instances)
    if (!seen.insert(instance.id.value).second) reader.set(fmt::format("instances: \"{}\" is there twice", instance.id.value));
  if (!reader.ok()) return fail(reader.error());
  return out;
}

}  // namespace flexpert::codec
