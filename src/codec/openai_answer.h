#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/openai_request.h"

/// Answers of the OpenAI API as JSON text.
namespace flexpert::codec {

struct ApiUsage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
};

/// One generated token with its log-probability. Texts are raw bytes: part of a UTF-8 character is allowed.
struct ApiTokenLogprob {
  std::string token;
  float logprob = 0;
  std::vector<std::pair<std::string, float>> top{};
};

enum class ApiForm { kChat, kText };

/// What every answer and chunk of one request repeats.
struct AnswerHead {
  ApiForm form = ApiForm::kChat;
  std::string id{};
  std::int64_t created = 0;  ///< seconds since the Unix epoch
  std::string model{};
  std::string system_fingerprint{};
};

/// Writes the answer to one request, whole or as server-sent events. A stream is: role_event() (chat only), delta_event()
/// for every piece, finish_event(), usage_event() if asked for, kStreamEnd. Keeps the text offset of logprobs.
class AnswerWriter {
 public:
  /// `usage_in_stream`: chunks carry "usage": null and a last one the numbers (stream_options.include_usage).
  explicit AnswerWriter(const AnswerHead& head, bool usage_in_stream = false, bool with_logprobs = false);

  /// Returns the body of the whole answer. `finish_reason`: "stop" or "length".
  std::string whole(std::string_view text, std::string_view finish_reason, std::span<const ApiTokenLogprob> logprobs, ApiUsage usage);

  [[nodiscard]] std::string role_event() const;
  std::string delta_event(std::string_view text, std::span<const ApiTokenLogprob> logprobs);
  [[nodiscard]] std::string finish_event(std::string_view finish_reason) const;
  [[nodiscard]] std::string usage_event(ApiUsage usage) const;

 private:
  void append_logprobs(std::string& out, std::span<const ApiTokenLogprob> logprobs);

  ApiForm form_;
  bool usage_in_stream_;
  bool with_logprobs_;
  std::string whole_head_;  ///< the object up to "choices":
  std::string chunk_head_;
  std::size_t text_offset_ = 0;
};

/// The event after the last chunk of a stream.
inline constexpr std::string_view kStreamEnd = "data: [DONE]\n\n";

/// Returns the body of an error; status is not part of it.
std::string encode(const ApiError& error);
/// Returns an error as an event inside a stream that has begun.
std::string error_event(const ApiError& error);

struct ModelCard {
  std::string id{};
  std::int64_t created = 0;
  std::uint32_t max_context = 0;
};
/// Returns the body of GET /v1/models/ID.
std::string encode_model(const ModelCard& model);
/// Returns the body of GET /v1/models.
std::string encode_models(std::span<const ModelCard> models);

}  // namespace flexpert::codec
