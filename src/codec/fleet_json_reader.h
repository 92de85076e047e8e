#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "base/result.h"

/// Typed access to the fields of a JSON object, for the decoders of fleet_json*.cc. Private to them.
namespace flexpert::codec::fleet_json {

namespace json = boost::json;

/// Reads fields of one object and remembers the first failure, so that a decoder reads straight through and asks
/// once, at the end. The message names the field with its path ("instances[2].state").
class Reader {
 public:
  Reader(const json::object& object, std::string path) : object_(object), path_(std::move(path)) {}

  [[nodiscard]] bool ok() const { return !error_; }
  [[nodiscard]] Error error() const { return *error_; }
  [[nodiscard]] std::string path_of(std::string_view field) const {
    return path_.empty() ? std::string(field) : fmt::format("{}.{}", path_, field);
  }
  [[nodiscard]] bool has(std::string_view field) const { return object_.find(key(field)) != object_.end(); }

  std::string text(std::string_view field) {
    const json::value* value = find(field);
    if (value == nullptr) return {};
    if (const json::string* found = value->if_string()) return std::string(found->data(), found->size());
    wrong(field, "a string");
    return {};
  }
  bool boolean(std::string_view field) {
    const json::value* value = find(field);
    if (value == nullptr) return false;
    if (const bool* found = value->if_bool()) return *found;
    wrong(field, "true or false");
    return false;
  }
  double number(std::string_view field) {
    const json::value* value = find(field);
    if (value == nullptr) return 0;
    if (const double* found = value->if_double()) return *found;
    if (const std::int64_t* found = value->if_int64()) return static_cast<double>(*found);
    if (const std::uint64_t* found = value->if_uint64()) return static_cast<double>(*found);
    wrong(field, "a number");
    return 0;
  }
  template <class Integer>
  Integer integer(std::string_view field) {
    const json::value* value = find(field);
    if (value == nullptr) return 0;
    return checked<Integer>(*value, path_of(field));
  }
  /// Reads an integer that stands alone, for elements of arrays.
  template <class Integer>
  Integer checked(const json::value& value, const std::string& path) {
    if (const std::int64_t* found = value.if_int64(); found != nullptr && std::in_range<Integer>(*found)) return static_cast<Integer>(*found);
    if (const std::uint64_t* found = value.if_uint64(); found != nullptr && std::in_range<Integer>(*found))
      return static_cast<Integer>(*found);
    set(fmt::format("{}: must be an integer from {} to {}", path, std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max()));
    return 0;
  }
  const json::array& array(std::string_view field) {
    static const json::array kEmpty;
    const json::value* value = find(field);
    if (value == nullptr) return kEmpty;
    if (const json::array* found = value->if_array()) return *found;
    wrong(field, "an array");
    return kEmpty;
  }
  const json::value* find(std::string_view field) {
    const auto it = object_.find(key(field));
    if (it != object_.end()) return &it->value();
    set(fmt::format("{}: missing", path_of(field)));
    return nullptr;
  }
  void set(std::string message) {
    if (!error_) error_ = Error{ErrorCode::kInvalidArgument, std::move(message)};
  }
  void take(const Reader& inner) {
    if (!inner.ok() && !error_) error_ = inner.error();
  }

 private:
  static json::string_view key(std::string_view field) { return {field.data(), field.size()}; }
  void wrong(std::string_view field, std::string_view wanted) { set(fmt::format("{}: must be {}", path_of(field), wanted)); }

  const json::object& object_;
  std::string path_;
  std::optional<Error> error_;
};

/// Parses text into an object. Depth is bounded by the library (32), size by the caller.
inline Result<json::value> parse_object(std::string_view text, std::string_view what) {
  json::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return fail(ErrorCode::kInvalidArgument, "{}: not JSON: {}", what, error.message());
  if (!value.is_object()) return fail(ErrorCode::kInvalidArgument, "{}: must be a JSON object", what);
  return value;
}

inline json::string to_json(std::string_view text) { return json::string(text.data(), text.size()); }
/// Returns the number, or null where JSON has none (infinities, NaN).
inline json::value to_json_number(double number) { return std::isfinite(number) ? json::value(number) : json::value(nullptr); }

/// Reads an array of objects, each with `read`, stopping at the first failure.
template <class Item, class Read>
std::vector<Item> read_objects(Reader& reader, std::string_view field, Read read) {
  std::vector<Item> out;
  const json::array& items = reader.array(field);
  out.reserve(items.size());
  for (std::size_t i = 0; i < items.size() && reader.ok(); ++i) {
    const std::string path = fmt::format("{}[{}]", reader.path_of(field), i);
    const json::object* object = items[i].if_object();
    if (object == nullptr) {
      reader.set(fmt::format("{}: must be an object", path));
      break;
    }
    Reader inner(*object, path);
    out.push_back(read(inner));
    reader.take(inner);
  }
  return out;
}

}  // namespace flexpert::codec::fleet_json
