#include "workload/prompt_set.h"

#include <boost/json.hpp>

namespace flexpert::workload {

namespace json = boost::json;

Result<PromptSet> parse_prompt_set(std::string_view text, std::string_view source) {
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return fail(ErrorCode::kInvalidArgument, "prompt set is not valid JSON: {}: {}", source, error.message());
  const json::object* object = root.if_object();
  if (object == nullptr) return fail(ErrorCode::kInvalidArgument, "prompt set must be a JSON object: {}", source);
  for (const auto& field : *object) {
    const std::string_view key(field.key().data(), field.key().size());
    if (key != "name" && key != "about" && key != "prompts")
      return fail(ErrorCode::kInvalidArgument, "prompt set has an unknown field (allowed: name, about, prompts): {}: {}", source, key);
  }
  PromptSet set;
  const json::value* name = object->if_contains("name");
  if (name == nullptr || !name->is_string() || name->get_string().empty())
    return fail(ErrorCode::kInvalidArgument, "prompt set needs a string in `name`: {}", source);
  set.name.assign(name->get_string().begin(), name->get_string().end());
  const json::value* prompts = object->if_contains("prompts");
  if (prompts == nullptr || !prompts->is_array() || prompts->get_array().empty())
    return fail(ErrorCode::kInvalidArgument, "prompt set needs a list of strings in `prompts`: {}", source);
  for (const json::value& prompt : prompts->get_array()) {
    if (!prompt.is_string() || prompt.get_string().empty())
      return fail(ErrorCode::kInvalidArgument, "prompt must be a string that is not empty: {}: prompts[{}]", source, set.prompts.size());
    set.prompts.emplace_back(prompt.get_string().begin(), prompt.get_string().end());
  }
  return set;
}

}  // namespace flexpert::workload
