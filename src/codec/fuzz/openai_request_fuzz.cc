#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/json_text.h"
#include "codec/openai_answer.h"
#include "codec/openai_request.h"

using namespace flexpert::codec;

/// Any bytes are a request or a refusal, and what was understood keeps the promises of the header.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto check = [](const GenerationSettings& settings) {
    bool kept = !settings.model.empty() && settings.stop.size() <= 4 && settings.max_tokens.value_or(1) >= 1 && settings.top_logprobs.value_or(0) <= 20;
    if (settings.temperature) kept = kept && *settings.temperature >= 0 && *settings.temperature <= 2;
    if (settings.top_p) kept = kept && *settings.top_p > 0 && *settings.top_p <= 1;
    if (!kept) std::abort();
  };
  const auto check_error = [](const ApiError& error) {
    if (error.message.empty() || error.status != 400 || !is_valid_utf8(encode(error))) std::abort();
  };
  if (const auto chat = parse_chat_completion_request(body)) check(chat->settings);
  else check_error(chat.error());
  if (const auto completion = parse_completion_request(body)) check(completion->settings);
  else check_error(completion.error());
  return 0;
}
