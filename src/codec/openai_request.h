#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// Requests of the OpenAI API as plain structs; docs/reference/openai-api.md lists what is understood.
namespace flexpert::codec {

/// A refusal in OpenAI's vocabulary.
struct ApiError {
  int status = 400;  ///< HTTP status
  std::string message{};
  std::string type = "invalid_request_error";
  std::string param{};  ///< the parameter at fault ("messages[0].content"); empty = null
  std::string code{};   ///< stable name for machines; empty = null
};

template <class T>
using ApiResult = std::expected<T, ApiError>;

/// What chat and text completions have in common. Absent and null fields are nullopt.
struct GenerationSettings {
  std::string model;
  std::optional<float> temperature;          ///< [0, 2]
  std::optional<float> top_p;                ///< (0, 1]
  std::optional<std::uint32_t> top_k;        ///< extension; 0 = all
  std::optional<std::uint32_t> max_tokens;   ///< >= 1
  std::optional<std::uint64_t> seed;         ///< negative seeds are taken as their two's complement
  std::vector<std::string> stop;             ///< at most 4, none empty
  std::optional<std::uint32_t> top_logprobs; ///< set = logprobs wanted, with so many alternatives
  bool stream = false;
  bool include_usage = false;
  bool ignore_eos = false;  ///< extension: go on after the end token, up to max_tokens
  std::string user;
};

struct ApiMessage {
  std::string role;     ///< "developer" is given as "system"
  std::string content;  ///< text parts joined
};

struct ChatCompletionRequest {
  std::vector<ApiMessage> messages;  ///< not empty
  GenerationSettings settings;
};

struct CompletionRequest {
  std::variant<std::string, std::vector<std::int32_t>> prompt;  ///< text, or token ids >= 0 (not empty)
  GenerationSettings settings;
};

/// The deepest nesting of arrays and objects that a request may have.
inline constexpr std::size_t kMaxRequestDepth = 64;

/// Parse a request body. Every byte is checked; unknown fields are ignored; a known field given twice is refused, so that
/// two readers of one request can never disagree about it. A known field that asks for what we cannot do is refused.
ApiResult<ChatCompletionRequest> parse_chat_completion_request(std::string_view body);
ApiResult<CompletionRequest> parse_completion_request(std::string_view body);

}  // namespace flexpert::codec
