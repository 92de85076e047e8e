#include "engine/weights/config_fields.h"

#include <cmath>

#include <boost/json.hpp>

namespace flexpert::engine {
namespace {

namespace json = boost::json;

std::string shown(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() > 80) text = text.substr(0, 80) + "...";
  return text;
}

/// Whole numbers may be written 2048 or 2048.0.
std::optional<std::uint64_t> whole(const json::value& value) {
  if (const auto* i = value.if_int64()) return *i >= 0 ? std::optional<std::uint64_t>(*i) : std::nullopt;
  if (const auto* u = value.if_uint64()) return *u;
  if (const auto* d = value.if_double(); d != nullptr && *d >= 0 && *d <= 1e15 && std::floor(*d) == *d)
    return static_cast<std::uint64_t>(*d);
  return std::nullopt;
}

const json::value* find(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(json::string_view(name.data(), name.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

}  // namespace

bool ConfigFields::has(std::string_view name) const { return find(*object_, name) != nullptr; }

Result<std::uint32_t> ConfigFields::integer(std::string_view name, std::uint32_t least, std::uint32_t most) const {
  const json::value* value = find(*object_, name);
  if (value == nullptr) return fail(ErrorCode::kInvalidArgument, "required field is missing: {}", name);
  const auto number = whole(*value);
  if (!number || *number < least || *number > most)
    return fail(ErrorCode::kInvalidArgument, "field must be a whole number from {} to {}: {} is {}", least, most, name, shown(*value));
  return static_cast<std::uint32_t>(*number);
}

Result<std::uint32_t> ConfigFields::integer_or(std::string_view name, std::uint32_t least, std::uint32_t most, std::uint32_t absent) const {
  if (!has(name)) return absent;
  return integer(name, least, most);
}

Result<double> ConfigFields::positive_or(std::string_view name, double absent) const {
  const json::value* value = find(*object_, name);
  if (value == nullptr) return absent;
  double number = -1;
  if (const auto* d = value->if_double()) number = *d;
  if (const auto i = whole(*value)) number = static_cast<double>(*i);
  if (!(number > 0) || !std::isfinite(number))
    return fail(ErrorCode::kInvalidArgument, "field must be a number > 0: {} is {}", name, shown(*value));
  return number;
}

Result<bool> ConfigFields::boolean_or(std::string_view name, bool absent) const {
  const json::value* value = find(*object_, name);
  if (value == nullptr) return absent;
  if (!value->is_bool()) return fail(ErrorCode::kInvalidArgument, "field must be true or false: {} is {}", name, shown(*value));
  return value->get_bool();
}

Result<std::string> ConfigFields::text_or(std::string_view name, std::string_view absent) const {
  const json::value* value = find(*object_, name);
  if (value == nullptr) return std::string(absent);
  if (!value->is_string()) return fail(ErrorCode::kInvalidArgument, "field must be a text: {} is {}", name, shown(*value));
  return std::string(value->get_string().data(), value->get_string().size());
}

Result<std::vector<std::uint32_t>> ConfigFields::integers(std::string_view name, std::uint32_t most) const {
  std::vector<std::uint32_t> numbers;
  const json::value* value = find(*object_, name);
  if (value == nullptr) return numbers;
  const auto add = [&](const json::value& item) -> Result<void> {
    const auto number = whole(item);
    if (!number || *number > most)
      return fail(ErrorCode::kInvalidArgument, "field must hold whole numbers from 0 to {}: {} has {}", most, name, shown(item));
    numbers.push_back(static_cast<std::uint32_t>(*number));
    return {};
  };
  if (!value->is_array()) {
    FLEXPERT_TRY(add(*value));
    return numbers;
  }
  for (const json::value& item : value->get_array()) FLEXPERT_TRY(add(item));
  return numbers;
}

Result<std::vector<std::string>> ConfigFields::texts(std::string_view name) const {
  std::vector<std::string> found;
  const json::value* value = find(*object_, name);
  if (value == nullptr) return found;
  if (!value->is_array()) return fail(ErrorCode::kInvalidArgument, "field must be a list of texts: {} is {}", name, shown(*value));
  for (const json::value& item : value->get_array()) {
    if (!item.is_string()) return fail(ErrorCode::kInvalidArgument, "field must be a list of texts: {} has {}", name, shown(item));
    found.emplace_back(item.get_string().data(), item.get_string().size());
  }
  return found;
}

Result<std::optional<ConfigFields>> ConfigFields::object(std::string_view name) const {
  const json::value* value = find(*object_, name);
  if (value == nullptr) return std::optional<ConfigFields>();
  if (!value->is_object()) return fail(ErrorCode::kInvalidArgument, "field must be an object: {} is {}", name, shown(*value));
  return std::optional<ConfigFields>(value->get_object());
}

}  // namespace flexpert::engine
