#include "codec/reason_json.h"

namespace flexpert::codec::fleet_json {

json::object reason_object(const Reason& reason) {
  json::object out;
  out["code"] = to_json(reason.code);
  out["text"] = to_json(reason.text);
  json::object& numbers = out["numbers"].emplace_object();
  for (const auto& [name, number] : reason.numbers) numbers[name] = to_json_number(number);
  return out;
}

Reason read_reason(Reader& reader) {
  Reason out;
  out.code = reader.text("code");
  out.text = reader.text("text");
  const json::value* value = reader.find("numbers");
  if (value == nullptr) return out;
  const json::object* numbers = value->if_object();
  if (numbers == nullptr) {
    reader.set(fmt::format("{}: must be an object", reader.path_of("numbers")));
    return out;
  }
  Reader inner(*numbers, reader.path_of("numbers"));
  for (const auto& field : *numbers) {
    const std::string name(field.key().data(), field.key().size());
    if (!field.value().is_null()) out.numbers.emplace_back(name, inner.number(name));
  }
  reader.take(inner);
  return out;
}

}  // namespace flexpert::codec::fleet_json
