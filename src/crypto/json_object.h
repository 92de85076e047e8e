#pragma once

#include <jansson.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// JSON of tokens and keys, by jansson, which cjose brings along. Only for .cc files of this module.
namespace flexpert::crypto {

struct JsonRelease {
  void operator()(json_t* value) const { json_decref(value); }
};
using JsonPtr = std::unique_ptr<json_t, JsonRelease>;

/// Parses one JSON object; null if `text` is anything else, has a member twice, or text that is not UTF-8.
inline JsonPtr parse_json_object(std::string_view text) {
  JsonPtr value(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
  return json_is_object(value.get()) ? std::move(value) : nullptr;
}

/// Returns a member's text; null view if it is missing or no text.
inline std::string_view text_member(const json_t* object, const char* name) {
  const json_t* const member = json_object_get(object, name);
  if (!json_is_string(member)) return {};
  return {json_string_value(member), json_string_length(member)};
}

}  // namespace flexpert::crypto
