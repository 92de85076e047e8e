#include "gateway/request_fields.h"

#include <array>
#include <cstring>
#include <utility>

namespace flexpert::gateway {
namespace {

using Field = RequestField;

constexpr std::array<std::pair<std::string_view, Field>, 12> kFields{{
    {"model", Field::kModel},           {"stream", Field::kStream},
    {"stream_options", Field::kStreamOptions}, {"max_tokens", Field::kMaxTokens},
    {"max_completion_tokens", Field::kMaxCompletionTokens}, {"temperature", Field::kTemperature},
    {"seed", Field::kSeed},             {"n", Field::kN},
    {"user", Field::kUser},             {"messages", Field::kMessages},
    {"prompt", Field::kPrompt},         {"input", Field::kInput},
}};

}  // namespace

RequestField request_field_of(std::string_view key) {
  // The lengths are the same already, and known where this is compiled.
  const auto is = [key](std::string_view name, Field field) {
    return std::memcmp(key.data(), name.data(), name.size()) == 0 ? field : Field::kOther;
  };
  switch (key.size()) {
    case 1: return is("n", Field::kN);
    case 4: return key.front() == 's' ? is("seed", Field::kSeed) : is("user", Field::kUser);
    case 5: return key.front() == 'm' ? is("model", Field::kModel) : is("input", Field::kInput);
    case 6: return key.front() == 's' ? is("stream", Field::kStream) : is("prompt", Field::kPrompt);
    case 8: return is("messages", Field::kMessages);
    case 10: return is("max_tokens", Field::kMaxTokens);
    case 11: return is("temperature", Field::kTemperature);
    case 14: return is("stream_options", Field::kStreamOptions);
    case 21: return is("max_completion_tokens", Field::kMaxCompletionTokens);
    default: return Field::kOther;
  }
}

std::string_view name_of_request_field(RequestField field) {
  for (const auto& [name, known] : kFields)
    if (known == field) return name;
  return {};
}

}  // namespace flexpert::gateway
