#include <array>

#include "codec/fleet_json.h"
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

constexpr std::array kKinds{ActionKind::kExpertScaleUp, ActionKind::kExpertScaleDown, ActionKind::kServerActivate, ActionKind::kServerStart,
                            ActionKind::kServerDrain,   ActionKind::kServerStop,      ActionKind::kServerFailed,   ActionKind::kPlacement};

bool is_expert(ActionKind kind) { return kind == ActionKind::kExpertScaleUp || kind == ActionKind::kExpertScaleDown; }

json::object action_object(const Action& action) {
  json::object out;
  out["kind"] = name_of(action.kind);
  if (is_expert(action.kind)) {
    out["layer"] = action.slot.layer;
    out["expert"] = action.slot.expert;
  } else if (action.kind != ActionKind::kPlacement) {
    out["instance"] = to_json(action.instance.value);
  }
  out["from"] = action.from;
  out["to"] = action.to;
  json::array& reasons = out["reasons"].emplace_array();
  for (const Reason& reason : action.reasons) reasons.emplace_back(reason_object(reason));
  return out;
}

Action read_action(Reader& reader) {
  Action out;
  const std::string kind = reader.text("kind");
  bool known = false;
  for (const ActionKind candidate : kKinds) {
    if (kind != name_of(candidate)) continue;
    out.kind = candidate;
    known = true;
  }
  if (!known) reader.set(fmt::format("{}: unknown kind of action: \"{}\"", reader.path_of("kind"), kind));
  if (is_expert(out.kind)) {
    out.slot.layer = reader.integer<std::uint32_t>("layer");
    out.slot.expert = reader.integer<std::uint32_t>("expert");
  } else if (out.kind != ActionKind::kPlacement) {
    out.instance.value = reader.text("instance");
  }
  out.from = reader.integer<std::uint32_t>("from");
  out.to = reader.integer<std::uint32_t>("to");
  out.reasons = read_objects<Reason>(reader, "reasons", read_reason);
  return out;
}

}  // namespace

std::string encode(const Decision& decision) {
  json::object out;
  out["cycle"] = decision.cycle;
  out["unix_ms"] = decision.unix_ms;
  out["epoch"] = decision.epoch;
  out["acted"] = decision.acted;
  json::array& actions = out["actions"].emplace_array();
  for (const Action& action : decision.actions) actions.emplace_back(action_object(action));
  return json::serialize(out);
}

Result<Decision> decode_decision(std::string_view text) {
  FLEXPERT_ASSIGN(const json::value value, fleet_json::parse_object(text, "decision"));
  Reader reader(value.get_object(), "");
  Decision out;
  out.cycle = reader.integer<std::uint64_t>("cycle");
  out.unix_ms = reader.integer<std::int64_t>("unix_ms");
  out.epoch = reader.integer<std::uint64_t>("epoch");
  out.acted = reader.boolean("acted");
  out.actions = read_objects<Action>(reader, "actions", read_action);
  if (!reader.ok()) return fail(reader.error());
  return out;
}

}  // namespace flexpert::codec
