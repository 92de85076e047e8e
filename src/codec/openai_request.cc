#include "codec/openai_request.h"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>
#include <simdjson.h>

namespace flexpert::codec {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;
using Status = std::expected<void, ApiError>;

template <class... Args>
std::unexpected<ApiError> refuse(std::string_view param, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(ApiError{.message = fmt::format(format, std::forward<Args>(args)...), .param = std::string(param)});
}

std::unexpected<ApiError> unsupported(std::string_view param, std::string_view what) {
  return std::unexpected(ApiError{.message = fmt::format("Unsupported value for '{}': {}.", param, what),
                                  .param = std::string(param),
                                  .code = "unsupported_value"});
}

std::string_view type_name(const element& value) {
  switch (value.type()) {
    case element_type::ARRAY: return "array";
    case element_type::OBJECT: return "object";
    case element_type::INT64:
    case element_type::UINT64: return "integer";
    case element_type::DOUBLE: return "number";
    case element_type::STRING: return "string";
    case element_type::BOOL: return "boolean";
    case element_type::NULL_VALUE: return "null";
  }
  return "value";
}

std::unexpected<ApiError> wrong_type(std::string_view param, std::string_view expected, const element& value) {
  return std::unexpected(ApiError{.message = fmt::format("Invalid type for '{}': expected {}, but got {}.", param, expected, type_name(value)),
                                  .param = std::string(param),
                                  .code = "invalid_type"});
}

Status read_string(std::string_view param, const element& value, std::string& out) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return wrong_type(param, "a string", value);
  out = std::string(text);
  return {};
}

Status read_bool(std::string_view param, const element& value, bool& out) {
  if (value.get(out) != simdjson::SUCCESS) return wrong_type(param, "a boolean", value);
  return {};
}

std::expected<double, ApiError> read_number(std::string_view param, const element& value) {
  double number = 0;
  if (value.get(number) != simdjson::SUCCESS) return wrong_type(param, "a number", value);
  return number;
}

/// Reads an integer in [least, most].
std::expected<std::int64_t, ApiError> read_integer(std::string_view param, const element& value, std::int64_t least, std::int64_t most) {
  if (!value.is_int64() && !value.is_uint64()) return wrong_type(param, "an integer", value);
  std::int64_t number = 0;
  // A number above the signed range is above every bound.
  if (value.get(number) != simdjson::SUCCESS || number > most)
    return refuse(param, "Invalid value for '{}': must be at most {}.", param, most);
  if (number < least) return refuse(param, "Invalid value for '{}': must be at least {}, but got {}.", param, least, number);
  return number;
}

Status read_float_in(std::string_view param, const element& value, double least, bool least_allowed, double most,
                     std::optional<float>& out) {
  const auto number = read_number(param, value);
  if (!number) return std::unexpected(number.error());
  if (!(*number >= least && *number <= most) || (!least_allowed && *number == least))
    return refuse(param, "Invalid value for '{}': must be {} {} and at most {}, but got {}.", param,
                  least_allowed ? "at least" : "greater than", least, most, *number);
  out = static_cast<float>(*number);
  // A positive number too small for a float must stay allowed where zero is not.
  if (!least_allowed && *out == 0) out = std::numeric_limits<float>::min();
  return {};
}

Status read_stop(const element& value, std::vector<std::string>& out) {
  constexpr std::size_t kMostStops = 4;
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    if (text.empty()) return refuse("stop", "Invalid value for 'stop': a stop text must not be empty.");
    out.emplace_back(text);
    return {};
  }
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return wrong_type("stop", "a string or an array of up to 4 strings", value);
  for (const element item : array) {
    const std::string param = fmt::format("stop[{}]", out.size());
    if (out.size() == kMostStops) return refuse("stop", "Invalid value for 'stop': at most 4 stop texts are allowed.");
    if (item.get(text) != simdjson::SUCCESS) return wrong_type(param, "a string", item);
    if (text.empty()) return refuse(param, "Invalid value for '{}': a stop text must not be empty.", param);
    out.emplace_back(text);
  }
  return {};
}

Status read_seed(const element& value, std::optional<std::uint64_t>& out) {
  std::uint64_t large = 0;
  std::int64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) out = static_cast<std::uint64_t>(number);
  else if (value.get(large) == simdjson::SUCCESS) out = large;
  else return wrong_type("seed", "an integer", value);
  return {};
}

Status read_stream_options(const element& value, bool& include_usage) {
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return wrong_type("stream_options", "an object", value);
  bool seen = false;
  for (const auto field : object) {
    if (field.key != "include_usage") continue;
    if (seen) return refuse("stream_options.include_usage", "Duplicate parameter: 'stream_options.include_usage' is given twice.");
    seen = true;
    if (field.value.is_null()) continue;
    if (auto ok = read_bool("stream_options.include_usage", field.value, include_usage); !ok) return ok;
  }
  return {};
}

/// Joins the texts of an array of parts.
Status read_parts(const std::string& param, simdjson::dom::array parts, std::string& out) {
  std::size_t index = 0;
  for (const element part : parts) {
    const std::string here = fmt::format("{}[{}]", param, index++);
    simdjson::dom::object object;
    if (part.get(object) != simdjson::SUCCESS) return wrong_type(here, "an object with type and text", part);
    std::optional<std::string_view> type;
    std::optional<std::string_view> text;
    for (const auto field : object) {
      auto* known = field.key == "type" ? &type : field.key == "text" ? &text : nullptr;
      if (known == nullptr) continue;
      if (known->has_value()) return refuse(here, "Duplicate parameter: '{}.{}' is given twice.", here, field.key);
      std::string_view value;
      if (field.value.get(value) != simdjson::SUCCESS) return wrong_type(fmt::format("{}.{}", here, field.key), "a string", field.value);
      *known = value;
    }
    if (!type) return refuse(here + ".type", "Missing required parameter: '{}.type'.", here);
    if (*type != "text") return unsupported(here + ".type", fmt::format("only 'text' parts are supported, but got '{}'", *type));
    if (!text) return refuse(here + ".text", "Missing required parameter: '{}.text'.", here);
    out += *text;
  }
  return {};
}

Status read_message(const std::string& param, const element& value, ApiMessage& out) {
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return wrong_type(param, "an object", value);
  bool has_role = false;
  std::optional<element> content;
  for (const auto field : object) {
    if (field.key == "role") {
      if (has_role) return refuse(param + ".role", "Duplicate parameter: '{}.role' is given twice.", param);
      has_role = true;
      if (auto ok = read_string(param + ".role", field.value, out.role); !ok) return ok;
    } else if (field.key == "content") {
      if (content) return refuse(param + ".content", "Duplicate parameter: '{}.content' is given twice.", param);
      content = field.value;
    }
  }
  if (!has_role) return refuse(param + ".role", "Missing required parameter: '{}.role'.", param);
  if (out.role == "developer") out.role = "system";
  // An assistant's earlier turn may have had no text.
  if (!content || content->is_null()) {
    if (out.role == "assistant") return {};
    return refuse(param + ".content", "Missing required parameter: '{}.content'.", param);
  }
  simdjson::dom::array parts;
  if (content->get(parts) == simdjson::SUCCESS) return read_parts(param + ".content", parts, out.content);
  if (!content->is_string()) return wrong_type(param + ".content", "a string or an array of text parts", *content);
  return read_string(param + ".content", *content, out.content);
}

Status read_messages(const element& value, std::vector<ApiMessage>& out) {
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return wrong_type("messages", "an array of objects", value);
  for (const element item : array) {
    const std::string param = fmt::format("messages[{}]", out.size());
    if (auto ok = read_message(param, item, out.emplace_back()); !ok) return ok;
  }
  if (out.empty()) return refuse("messages", "Invalid 'messages': empty array. Expected at least one message.");
  return {};
}

Status read_prompt(const element& value, std::variant<std::string, std::vector<std::int32_t>>& out) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    if (text.empty()) return refuse("prompt", "Invalid 'prompt': it must not be empty.");
    out = std::string(text);
    return {};
  }
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return wrong_type("prompt", "a string or an array of token ids", value);
  std::vector<std::int32_t> tokens;
  for (const element item : array) {
    std::int64_t number = 0;
    if (item.get(number) == simdjson::SUCCESS && number >= 0 && number <= std::numeric_limits<std::int32_t>::max()) {
      tokens.push_back(static_cast<std::int32_t>(number));
      continue;
    }
    if (item.is_string() || item.is_array()) {  // a list of prompts, as some clients always send it
      if (array.size() != 1) return unsupported("prompt", "one prompt a request is supported, a string or an array of token ids");
      simdjson::dom::array inner;
      const bool nested = item.get(inner) == simdjson::SUCCESS && inner.size() > 0 && (inner.at(0).is_string() || inner.at(0).is_array());
      return nested ? wrong_type("prompt[0]", "a string or an array of token ids", item) : read_prompt(item, out);
    }
    const auto token = read_integer(fmt::format("prompt[{}]", tokens.size()), item, 0, std::numeric_limits<std::int32_t>::max());
    if (!token) return std::unexpected(token.error());
  }
  if (tokens.empty()) return refuse("prompt", "Invalid 'prompt': it must not be empty.");
  out = std::move(tokens);
  return {};
}

bool is_empty_container(const element& value) {
  simdjson::dom::array array;
  simdjson::dom::object object;
  if (value.get(array) == simdjson::SUCCESS) return array.size() == 0;
  if (value.get(object) == simdjson::SUCCESS) return object.size() == 0;
  return false;
}

/// The known fields, in the order of their bits in `seen`.
enum class Field : std::size_t {
  kModel, kMessages, kPrompt, kTemperature, kTopP, kTopK, kMaxTokens, kMaxCompletionTokens, kN, kBestOf, kStop, kSeed, kStream,
  kStreamOptions, kLogprobs, kTopLogprobs, kUser, kIgnoreEos, kEcho, kSuffix, kLogitBias, kPresencePenalty, kFrequencyPenalty,
  kResponseFormat, kTools, kToolChoice, kFunctions, kFunctionCall, kCount,
};
constexpr std::array<std::string_view, static_cast<std::size_t>(Field::kCount)> kFieldNames = {
    "model", "messages", "prompt", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "n", "best_of", "stop", "seed",
    "stream", "stream_options", "logprobs", "top_logprobs", "user", "ignore_eos", "echo", "suffix", "logit_bias", "presence_penalty",
    "frequency_penalty", "response_format", "tools", "tool_choice", "functions", "function_call"};

/// Collects one request; exactly one of `chat` and `completion` is set.
struct Reader {
  explicit Reader(ChatCompletionRequest& request) : chat(&request), settings(request.settings) {}
  explicit Reader(CompletionRequest& request) : completion(&request), settings(request.settings) {}

  ChatCompletionRequest* chat = nullptr;
  CompletionRequest* completion = nullptr;
  GenerationSettings& settings;
  std::array<bool, kFieldNames.size()> seen{};
  bool has_messages = false;
  bool has_prompt = false;
  bool has_stream_options = false;
  bool wants_logprobs = false;
  std::optional<std::uint32_t> top_logprobs;
  std::optional<std::uint32_t> max_completion_tokens;

  Status read(const element& root) {
    simdjson::dom::object object;
    if (root.get(object) != simdjson::SUCCESS)
      return refuse("", "Invalid request body: expected a JSON object, but got {}.", type_name(root));
    for (const auto field : object) {
      const auto* const name = std::find(kFieldNames.begin(), kFieldNames.end(), field.key);
      if (name == kFieldNames.end()) continue;
      const auto index = static_cast<std::size_t>(name - kFieldNames.begin());
      if (seen[index]) return refuse(*name, "Duplicate parameter: '{}' is given twice.", *name);
      seen[index] = true;
      if (field.value.is_null()) continue;
      if (auto ok = read_field(static_cast<Field>(index), *name, field.value); !ok) return ok;
    }
    return finish();
  }

  Status read_count(std::string_view name, const element& value, std::optional<std::uint32_t>& out) {
    const auto number = read_integer(name, value, 1, std::numeric_limits<std::int32_t>::max());
    if (!number) return std::unexpected(number.error());
    out = static_cast<std::uint32_t>(*number);
    return {};
  }

  Status read_field(Field field, std::string_view name, const element& value) {
    switch (field) {
      case Field::kModel: return read_string(name, value, settings.model);
      case Field::kMessages:
        if (chat == nullptr) return {};
        has_messages = true;
        return read_messages(value, chat->messages);
      case Field::kPrompt:
        if (completion == nullptr) return {};
        has_prompt = true;
        return read_prompt(value, completion->prompt);
      case Field::kTemperature: return read_float_in(name, value, 0, true, 2, settings.temperature);
      case Field::kTopP: return read_float_in(name, value, 0, false, 1, settings.top_p);
      case Field::kTopK: {
        // Some clients write "all" as -1.
        const auto number = read_integer(name, value, -1, std::numeric_limits<std::int32_t>::max());
        if (!number) return std::unexpected(number.error());
        settings.top_k = static_cast<std::uint32_t>(std::max<std::int64_t>(*number, 0));
        return {};
      }
      case Field::kMaxTokens: return read_count(name, value, settings.max_tokens);
      case Field::kMaxCompletionTokens: return read_count(name, value, max_completion_tokens);
      case Field::kN:
      case Field::kBestOf: {
        std::optional<std::uint32_t> number;
        if (auto ok = read_count(name, value, number); !ok) return ok;
        if (*number != 1) return unsupported(name, fmt::format("only 1 choice a request is supported, but got {}", *number));
        return {};
      }
      case Field::kStop: return read_stop(value, settings.stop);
      case Field::kSeed: return read_seed(value, settings.seed);
      case Field::kStream: return read_bool(name, value, settings.stream);
      case Field::kStreamOptions: has_stream_options = true; return read_stream_options(value, settings.include_usage);
      case Field::kLogprobs: return read_logprobs(value);
      case Field::kTopLogprobs: {
        const auto number = read_integer(name, value, 0, 20);
        if (!number) return std::unexpected(number.error());
        top_logprobs = static_cast<std::uint32_t>(*number);
        return {};
      }
      case Field::kUser: return read_string(name, value, settings.user);
      case Field::kIgnoreEos: return read_bool(name, value, settings.ignore_eos);
      default: return read_what_we_cannot_do(field, name, value);
    }
  }

  Status read_logprobs(const element& value) {
    if (chat != nullptr) return read_bool("logprobs", value, wants_logprobs);
    const auto number = read_integer("logprobs", value, 0, 5);
    if (!number) return std::unexpected(number.error());
    settings.top_logprobs = static_cast<std::uint32_t>(*number);
    return {};
  }

  /// Accepts the values of these fields that mean "nothing special".
  static Status read_what_we_cannot_do(Field field, std::string_view name, const element& value) {
    bool flag = false;
    std::string text;
    switch (field) {
      case Field::kEcho:
        if (auto ok = read_bool(name, value, flag); !ok) return ok;
        return flag ? Status(unsupported(name, "the prompt is not echoed")) : Status();
      case Field::kSuffix:
        if (auto ok = read_string(name, value, text); !ok) return ok;
        return text.empty() ? Status() : Status(unsupported(name, "insertion before a suffix is not supported"));
      case Field::kLogitBias:
        if (!value.is_object() && !value.is_array()) return wrong_type(name, "an object", value);
        return is_empty_container(value) ? Status() : Status(unsupported(name, "biases are not supported"));
      case Field::kPresencePenalty:
      case Field::kFrequencyPenalty: {
        const auto number = read_number(name, value);
        if (!number) return std::unexpected(number.error());
        return *number == 0 ? Status() : Status(unsupported(name, "penalties are not supported; only 0 is allowed"));
      }
      case Field::kTools:
      case Field::kFunctions:
        if (!value.is_array()) return wrong_type(name, "an array", value);
        return is_empty_container(value) ? Status() : Status(unsupported(name, "tools cannot be called; only an empty list is allowed"));
      case Field::kToolChoice:
      case Field::kFunctionCall: {
        std::string_view choice;
        const bool free_choice = value.get(choice) == simdjson::SUCCESS && (choice == "none" || choice == "auto");
        return free_choice ? Status() : Status(unsupported(name, "tools cannot be called; only 'none' and 'auto' are allowed"));
      }
      case Field::kResponseFormat: {
        if (!value.is_object()) return wrong_type(name, "an object", value);
        std::string_view type;
        if (value["type"].get(type) != simdjson::SUCCESS)
          return refuse("response_format.type", "Missing required parameter: 'response_format.type'.");
        return type == "text" ? Status() : Status(unsupported("response_format.type", fmt::format("only 'text' is supported, but got '{}'", type)));
      }
      default: return {};
    }
  }

  Status finish() {
    if (settings.model.empty()) return refuse("model", "Missing required parameter: 'model'. Name the model to run.");
    if (chat != nullptr && !has_messages) return refuse("messages", "Missing required parameter: 'messages'.");
    if (completion != nullptr && !has_prompt) return refuse("prompt", "Missing required parameter: 'prompt'.");
    if (chat != nullptr) {
      if (top_logprobs && !wants_logprobs)
        return refuse("top_logprobs", "Invalid value for 'top_logprobs': it needs 'logprobs' to be true.");
      if (wants_logprobs) settings.top_logprobs = top_logprobs.value_or(0);
      if (max_completion_tokens && settings.max_tokens && *max_completion_tokens != *settings.max_tokens)
        return refuse("max_tokens", "Setting 'max_tokens' and 'max_completion_tokens' to different values is not allowed.");
      if (max_completion_tokens) settings.max_tokens = max_completion_tokens;
    }
    if (has_stream_options && !settings.stream)
      return refuse("stream_options", "Invalid value for 'stream_options': it is only allowed when 'stream' is true.");
    return {};
  }
};

Status parse(std::string_view body, Reader reader) {
  if (body.empty()) return std::unexpected(ApiError{.message = "Invalid JSON in the request body: it is empty.", .code = "invalid_json"});
  simdjson::dom::parser parser;
  if (parser.allocate(std::max<std::size_t>(body.size(), 64), kMaxRequestDepth + 1) != simdjson::SUCCESS)
    return std::unexpected(ApiError{.status = 500, .message = "Out of memory for this request.", .type = "server_error"});
  element root;
  const simdjson::error_code error = parser.parse(body.data(), body.size()).get(root);
  if (error == simdjson::DEPTH_ERROR)
    return refuse("", "Invalid JSON in the request body: nested deeper than {} levels.", kMaxRequestDepth);
  if (error != simdjson::SUCCESS)
    return std::unexpected(ApiError{.message = fmt::format("Invalid JSON in the request body: {}", simdjson::error_message(error)), .code = "invalid_json"});
  return reader.read(root);
}

}  // namespace

ApiResult<ChatCompletionRequest> parse_chat_completion_request(std::string_view body) {
  ChatCompletionRequest request;
  if (auto ok = parse(body, Reader(request)); !ok) return std::unexpected(ok.error());
  return request;
}

ApiResult<CompletionRequest> parse_completion_request(std::string_view body) {
  CompletionRequest request;
  if (auto ok = parse(body, Reader(request)); !ok) return std::unexpected(ok.error());
  return request;
}

}  // namespace flexpert::codec
