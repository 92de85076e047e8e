#include "flexpert/place_json.h"

#include <boost/json.hpp>

#include "codec/json_text.h"
#include "flexpert/place_screen.h"

namespace flexpert::app {

namespace json = boost::json;

namespace {

json::string text(const std::string& value) { return json::string(value.data(), value.size()); }

void append(std::string& out, const json::value& value, int lines, std::size_t indent) {
  const auto begin_element = [&](bool first) {
    if (!first) out += lines > 0 ? "," : ", ";
    if (lines > 0) out += '\n' + std::string(indent + 2, ' ');
  };
  const auto end = [&](char bracket, bool empty) {
    if (lines > 0 && !empty) out += '\n' + std::string(indent, ' ');
    out += bracket;
  };
  if (const json::object* object = value.if_object()) {
    out += '{';
    bool first = true;
    for (const auto& member : *object) {
      begin_element(std::exchange(first, false));
      codec::append_json_string(out, {member.key().data(), member.key().size()});
      out += ": ";
      append(out, member.value(), lines - 1, indent + 2);
    }
    end('}', first);
  } else if (const json::array* array = value.if_array()) {
    const bool scalars = array->empty() || array->front().is_primitive();
    if (scalars) lines = 0;
    out += '[';
    bool first = true;
    for (const json::value& element : *array) {
      begin_element(std::exchange(first, false));
      append(out, element, lines - 1, indent + 2);
    }
    end(']', first);
  } else if (value.is_double()) {
    codec::append_json_number(out, value.get_double());
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

json::object balance_json(const Balance& balance, bool layers) {
  json::object out{{"balancedness", balance.balancedness}, {"worst", balance.worst},       {"worst_layer", balance.worst_layer},
                   {"bound", balance.bound},               {"gap", balance.gap},           {"duplicates", balance.duplicates}};
  if (!layers) return out;
  json::array& list = out["layers"].emplace_array();
  for (const LayerBalance& layer : balance.layers)
    list.push_back({{"balancedness", layer.balancedness()}, {"mean_load", layer.mean_load}, {"max_load", layer.max_load},
                    {"lower_bound", layer.lower_bound},     {"busiest", layer.busiest},     {"duplicates", layer.duplicates}});
  return out;
}

json::object moves_json(const MoveList& moves, const ExpertLayout& layout) {
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  json::object out{{"unchanged", moves.unchanged}, {"changed", moves.changed()},     {"same_device", moves.same_device},
                   {"same_node", moves.same_node}, {"cross_node", moves.cross_node}, {"load", moves.load},
                   {"bytes", moves.bytes}};
  json::array& list = out["moves"].emplace_array();
  for (const SlotMove& move : moves.moves) {
    json::object one{
        {"layer", move.layer},         {"slot", move.slot},         {"device", device_of[move.slot]}, {"from_expert", move.from_expert},
        {"to_expert", move.to_expert}, {"kind", name_of(move.kind)}};
    if (move.kind != MoveKind::kLoad) one["source_slot"] = move.source_slot;
    list.push_back(std::move(one));
  }
  return out;
}

json::array reasons_json(const std::vector<Reason>& reasons) {
  json::array out;
  for (const Reason& reason : reasons) {
    json::object numbers;
    for (const auto& [name, value] : reason.numbers) numbers[name] = value;
    out.push_back({{"code", text(reason.code)}, {"text", text(reason.text)}, {"numbers", std::move(numbers)}});
  }
  return out;
}

void print_json(const json::object& value) {
  std::string out;
  append(out, value, 2, 0);
  write_out(out + '\n');
}

}  // namespace flexpert::app
