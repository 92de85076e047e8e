#pragma once

#include <string>
#include <string_view>

#include <simdjson.h>

#include "base/result.h"
#include "codec/number_array.h"

/// Large arrays in JSON, for the readers of expert counts and maps. Private to them.
namespace flexpert::codec::json_numbers {

/// The longest text that is read; 64 Mi numbers of three digits.
inline constexpr std::size_t kMaxTextBytes = std::size_t{256} << 20;

/// Parses a whole text. The element lives as long as `parser`. Errors: too long, not JSON.
Result<simdjson::dom::element> parse(simdjson::dom::parser& parser, std::string_view text, std::string_view what);

/// Shows a key from a file in a message: short, and without control characters.
std::string shown(std::string_view key);

/// Returns the field `key` of an object, or an error that begins with `what` when it is there twice. Null when missing.
Result<simdjson::dom::element> unique_field(const simdjson::dom::object& object, std::string_view key, std::string_view what);

/// Reads nested arrays of numbers, all rows of a level equally long. `what` begins every message, which names the place
/// ("physical_to_logical_map[3][17]").
Result<NumberArray> number_array(simdjson::dom::element element, std::string_view what);

/// Finds the element that a path such as `tasks.law` or `domains[3]` names; an empty path names the root.
Result<simdjson::dom::element> select(simdjson::dom::element root, std::string_view path);

}  // namespace flexpert::codec::json_numbers
