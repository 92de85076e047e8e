#include "codec/placement_json_parts.h"

#include "codec/json_text.h"

namespace flexpert::codec::placement_json {
namespace {

void append_number(std::string& out, std::string_view key, double value) {
  out += fmt::format("\"{}\":", key);
  append_json_number(out, value);
}

LayerBalance read_layer(Reader& reader) {
  LayerBalance layer;
  layer.mean_load = reader.number("mean_load");
  layer.max_load = reader.number("max_load");
  layer.lower_bound = reader.number("lower_bound");
  layer.busiest = reader.integer<std::uint32_t>("busiest");
  layer.duplicates = reader.integer<std::uint32_t>("duplicates");
  return layer;
}

SlotMove read_move(Reader& reader) {
  SlotMove move;
  move.layer = reader.integer<std::uint32_t>("layer");
  move.slot = reader.integer<std::uint32_t>("slot");
  move.from_expert = reader.integer<std::int32_t>("from");
  move.to_expert = reader.integer<std::int32_t>("to");
  const std::string kind = reader.text("kind");
  bool known = false;
  for (const MoveKind candidate :
       {MoveKind::kUnchanged, MoveKind::kSameDevice, MoveKind::kSameNode, MoveKind::kCrossNode, MoveKind::kLoad}) {
    if (kind != name_of(candidate)) continue;
    move.kind = candidate;
    known = true;
  }
  if (!known) reader.set(fmt::format("{}: must be unchanged, same_device, same_node, cross_node or load", reader.path_of("kind")));
  move.source_slot = reader.integer<std::uint32_t>("source_slot");
  return move;
}

Reason read_reason(Reader& reader) {
  Reason reason{reader.text("code"), reader.text("text"), {}};
  if (const json::object* numbers = object_of(reader, "numbers")) {
    Reader values(*numbers, reader.path_of("numbers"));
    for (const auto& field : *numbers) {
      const std::string key(field.key().data(), field.key().size());
      reason.numbers.emplace_back(key, values.number(key));
    }
    reader.take(values);
  }
  return reason;
}

}  // namespace

const json::object* object_of(Reader& reader, std::string_view field) {
  const json::value* value = reader.find(field);
  if (value == nullptr) return nullptr;
  if (const json::object* object = value->if_object()) return object;
  reader.set(fmt::format("{}: must be an object", reader.path_of(field)));
  return nullptr;
}

void append(std::string& out, const Balance& balance) {
  out += '{';
  append_number(out, "balancedness", balance.balancedness);
  out += ',';
  append_number(out, "worst", balance.worst);
  out += fmt::format(",\"worst_layer\":{},", balance.worst_layer);
  append_number(out, "bound", balance.bound);
  out += ',';
  append_number(out, "gap", balance.gap);
  out += fmt::format(",\"duplicates\":{},\"layers\":[", balance.duplicates);
  for (std::size_t i = 0; i < balance.layers.size(); ++i) {
    const LayerBalance& layer = balance.layers[i];
    out += i == 0 ? "{" : ",{";
    append_number(out, "mean_load", layer.mean_load);
    out += ',';
    append_number(out, "max_load", layer.max_load);
    out += ',';
    append_number(out, "lower_bound", layer.lower_bound);
    out += fmt::format(",\"busiest\":{},\"duplicates\":{}}}", layer.busiest, layer.duplicates);
  }
  out += "]}";
}

void append(std::string& out, const std::vector<Reason>& reasons) {
  out += '[';
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    out += i == 0 ? "{\"code\":" : ",{\"code\":";
    append_json_string(out, reasons[i].code);
    out += ",\"text\":";
    append_json_string(out, reasons[i].text);
    out += ",\"numbers\":{";
    bool first = true;
    for (const auto& [name, value] : reasons[i].numbers) {
      if (!std::isfinite(value)) continue;
      if (!first) out += ',';
      first = false;
      append_json_string(out, name);
      out += ':';
      append_json_number(out, value);
    }
    out += "}}";
  }
  out += ']';
}

void append(std::string& out, const MoveList& moves) {
  out += fmt::format(R"({{"unchanged":{},"same_device":{},"same_node":{},"cross_node":{},"load":{},"bytes":{},"list":[)", moves.unchanged,
                     moves.same_device, moves.same_node, moves.cross_node, moves.load, moves.bytes);
  for (std::size_t i = 0; i < moves.moves.size(); ++i) {
    const SlotMove& move = moves.moves[i];
    out += fmt::format(R"({}{{"layer":{},"slot":{},"from":{},"to":{},"kind":"{}","source_slot":{}}})", i == 0 ? "" : ",", move.layer,
                       move.slot, move.from_expert, move.to_expert, name_of(move.kind), move.source_slot);
  }
  out += "]}";
}

Balance read_balance(Reader& root, std::string_view field) {
  Balance balance;
  const json::object* object = object_of(root, field);
  if (object == nullptr) return balance;
  Reader reader(*object, root.path_of(field));
  balance.balancedness = reader.number("balancedness");
  balance.worst = reader.number("worst");
  balance.worst_layer = reader.integer<std::uint32_t>("worst_layer");
  balance.bound = reader.number("bound");
  balance.gap = reader.number("gap");
  balance.duplicates = reader.integer<std::uint32_t>("duplicates");
  balance.layers = fleet_json::read_objects<LayerBalance>(reader, "layers", read_layer);
  root.take(reader);
  return balance;
}

std::vector<Reason> read_reasons(Reader& root, std::string_view field) {
  return fleet_json::read_objects<Reason>(root, field, read_reason);
}

MoveList read_moves(Reader& root, std::string_view field) {
  MoveList moves;
  const json::object* object = object_of(root, field);
  if (object == nullptr) return moves;
  Reader reader(*object, root.path_of(field));
  moves.unchanged = reader.integer<std::uint64_t>("unchanged");
  moves.same_device = reader.integer<std::uint64_t>("same_device");
  moves.same_node = reader.integer<std::uint64_t>("same_node");
  moves.cross_node = reader.integer<std::uint64_t>("cross_node");
  moves.load = reader.integer<std::uint64_t>("load");
  moves.bytes = reader.integer<std::uint64_t>("bytes");
  moves.moves = fleet_json::read_objects<SlotMove>(reader, "list", read_move);
  root.take(reader);
  return moves;
}

}  // namespace flexpert::codec::placement_json
