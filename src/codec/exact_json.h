#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "base/result.h"
#include "codec/json_text.h"
#include "fleet/decision.h"

/// JSON whose numbers come back bit for bit, for the journal: doubles in their shortest exact form, NaN and infinities as
/// the strings "nan", "inf" and "-inf". Private to pool_snapshot_json.cc, scale_plan_json.cc and journal_records.cc.
namespace flexpert::codec::exact_json {

inline void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "\"nan\"";
  } else if (std::isinf(value)) {
    out += value > 0 ? "\"inf\"" : "\"-inf\"";
  } else if (value == 0 && std::signbit(value)) {
    out += "-0.0";  // "-0" would be read as an integer, which has no such zero
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

/// Appends `"name":`, with a comma before it unless it is the first field.
inline void append_key(std::string& out, std::string_view name) {
  if (!out.empty() && out.back() != '{' && out.back() != '[') out += ',';
  append_json_string(out, name);
  out += ':';
}

inline void append_field(std::string& out, std::string_view name, double value) {
  append_key(out, name);
  append_number(out, value);
}

template <class Integer>
  requires std::is_integral_v<Integer>
void append_field(std::string& out, std::string_view name, Integer value) {
  append_key(out, name);
  if constexpr (std::is_same_v<Integer, bool>) {
    out += value ? "true" : "false";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

inline void append_field(std::string& out, std::string_view name, std::string_view value) {
  append_key(out, name);
  append_json_string(out, value);
}

/// Appends `"name":[...]` with one element from `write(out, item)` each.
template <class Items, class Write>
void append_list(std::string& out, std::string_view name, const Items& items, Write write) {
  append_key(out, name);
  out += '[';
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += ',';
    first = false;
    write(out, item);
  }
  out += ']';
}

/// Reads the fields of one object. The first mistake is kept in `error`, which all readers of one text share; after it
/// every call returns a zero value.
class Reader {
 public:
  Reader(simdjson::dom::object object, std::string path, std::string& error) : object_(object), path_(std::move(path)), error_(error) {}

  [[nodiscard]] bool ok() const { return error_.empty(); }
  void reject(std::string_view field, std::string_view what) {
    if (error_.empty()) error_ = fmt::format("{}: {}", path_of(field), what);
  }
  [[nodiscard]] bool has(std::string_view field) const {
    simdjson::dom::element element;
    return object_.at_key(field).get(element) == simdjson::SUCCESS && !element.is_null();
  }

  double number(std::string_view field) {
    const auto element = find(field);
    return element ? number_of(*element, field) : 0;
  }
  std::optional<double> optional_number(std::string_view field) { return has(field) ? std::optional(number(field)) : std::nullopt; }
  template <class Integer>
  Integer integer(std::string_view field) {
    const auto element = find(field);
    if (!element) return 0;
    std::int64_t value = 0;
    if (element->get(value) == simdjson::SUCCESS && std::in_range<Integer>(value)) return static_cast<Integer>(value);
    std::uint64_t large = 0;
    if (element->get(large) == simdjson::SUCCESS && std::in_range<Integer>(large)) return static_cast<Integer>(large);
    reject(field, fmt::format("must be an integer from {} to {}", std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max()));
    return 0;
  }
  template <class Integer>
  std::optional<Integer> optional_integer(std::string_view field) {
    return has(field) ? std::optional(integer<Integer>(field)) : std::nullopt;
  }
  bool boolean(std::string_view field) {
    const auto element = find(field);
    bool value = false;
    if (element && element->get(value) != simdjson::SUCCESS) reject(field, "must be true or false");
    return value;
  }
  std::string text(std::string_view field) {
    const auto element = find(field);
    std::string_view value;
    if (element && element->get(value) != simdjson::SUCCESS) reject(field, "must be a string");
    return std::string(value);
  }
  /// Calls `read(reader)` with the object in `field`.
  template <class Read>
  void object(std::string_view field, Read read) {
    const auto element = find(field);
    if (!element) return;
    simdjson::dom::object inner;
    if (element->get(inner) != simdjson::SUCCESS) return reject(field, "must be an object");
    read(Reader(inner, path_of(field), error_));
  }
  /// Calls `read(name, reader_of_value)` for each field of the object in `field`, in their order; values are objects.
  template <class Read>
  void each_object(std::string_view field, Read read) {
    object(field, [&](Reader inner) {
      for (const auto& item : inner.object_) {
        simdjson::dom::object value;
        if (item.value.get(value) != simdjson::SUCCESS) return inner.reject(item.key, "must be an object");
        read(std::string(item.key), Reader(value, inner.path_of(item.key), error_));
        if (!ok()) return;
      }
    });
  }
  /// Calls `read(name, number)` for each field of the object in `field`, in their order.
  template <class Read>
  void each_number(std::string_view field, Read read) {
    object(field, [&](Reader inner) {
      for (const auto& item : inner.object_) {
        const double value = inner.number_of(item.value, item.key);
        if (!ok()) return;
        read(std::string(item.key), value);
      }
    });
  }
  /// Reads a list of objects, each with `read(reader)`.
  template <class Item, class Read>
  std::vector<Item> list(std::string_view field, Read read) {
    std::vector<Item> out;
    const auto element = find(field);
    if (!element) return out;
    simdjson::dom::array items;
    if (element->get(items) != simdjson::SUCCESS) {
      reject(field, "must be an array");
      return out;
    }
    for (const simdjson::dom::element item : items) {
      const std::string path = fmt::format("{}[{}]", path_of(field), out.size());
      simdjson::dom::object inner;
      if (item.get(inner) != simdjson::SUCCESS) {
        if (error_.empty()) error_ = path + ": must be an object";
        return out;
      }
      out.push_back(read(Reader(inner, path, error_)));
      if (!ok()) return out;
    }
    return out;
  }

 private:
  [[nodiscard]] std::string path_of(std::string_view field) const {
    return path_.empty() ? std::string(field) : fmt::format("{}.{}", path_, field);
  }
  std::optional<simdjson::dom::element> find(std::string_view field) {
    simdjson::dom::element element;
    if (ok() && object_.at_key(field).get(element) == simdjson::SUCCESS) return element;
    reject(field, "missing");
    return std::nullopt;
  }
  double number_of(simdjson::dom::element element, std::string_view field) {
    double value = 0;
    if (element.get(value) == simdjson::SUCCESS) return value;
    std::string_view word;
    if (element.get(word) == simdjson::SUCCESS) {
      if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
      if (word == "inf") return std::numeric_limits<double>::infinity();
      if (word == "-inf") return -std::numeric_limits<double>::infinity();
    }
    reject(field, "must be a number");
    return 0;
  }

  simdjson::dom::object object_;
  std::string path_;
  std::string& error_;
};

/// Parses `text` and reads it with `read(reader)`. Errors: kDataLoss with the field that is wrong.
template <class Value, class Read>
Result<Value> decode(std::string_view text, std::string_view what, Read read) {
  constexpr std::size_t kLongest = std::size_t{256} << 20;
  if (text.size() > kLongest) return fail(ErrorCode::kResourceExhausted, "{}: over {} bytes", what, kLongest);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto code = parser.parse(text.data(), text.size()).get(root); code != simdjson::SUCCESS)
    return fail(ErrorCode::kDataLoss, "{}: not JSON: {}", what, simdjson::error_message(code));
  simdjson::dom::object object;
  if (root.get(object) != simdjson::SUCCESS) return fail(ErrorCode::kDataLoss, "{}: must be a JSON object", what);
  std::string error;
  Value value = read(Reader(object, "", error));
  if (!error.empty()) return fail(ErrorCode::kDataLoss, "{}: {}", what, error);
  return value;
}

/// One value of an enumeration by its name_of().
template <class Enum, std::size_t N>
Enum named(Reader& reader, std::string_view field, const Enum (&all)[N]) {
  const std::string name = reader.text(field);
  for (const Enum value : all)
    if (name == name_of(value)) return value;
  reader.reject(field, fmt::format("unknown: \"{}\"", name.substr(0, 64)));
  return all[0];
}

inline void append_reason(std::string& out, const Reason& reason) {
  out += '{';
  append_field(out, "code", std::string_view(reason.code));
  append_field(out, "text", std::string_view(reason.text));
  append_key(out, "numbers");
  out += '{';
  for (const auto& [name, value] : reason.numbers) append_field(out, name, value);
  out += "}}";
}

inline Reason read_reason(Reader reader) {
  Reason out;
  out.code = reader.text("code");
  out.text = reader.text("text");
  reader.each_number("numbers", [&](std::string name, double value) { out.numbers.emplace_back(std::move(name), value); });
  return out;
}

}  // namespace flexpert::codec::exact_json
