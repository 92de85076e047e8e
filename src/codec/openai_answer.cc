#include "codec/openai_answer.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "codec/json_text.h"

namespace flexpert::codec {
namespace {

template <class... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void append_string_or_null(std::string& out, std::string_view text) {
  if (text.empty()) out += "null";
  else append_json_string(out, text);
}

std::string head_text(const AnswerHead& head, std::string_view object) {
  std::string out = "{\"id\":";
  append_json_string(out, head.id);
  append(out, ",\"object\":\"{}\",\"created\":{},\"model\":", object, head.created);
  append_json_string(out, head.model);
  out += ",\"system_fingerprint\":";
  append_string_or_null(out, head.system_fingerprint);
  out += ",\"choices\":";
  return out;
}

void append_usage(std::string& out, ApiUsage usage) {
  append(out, "{{\"prompt_tokens\":{},\"completion_tokens\":{},\"total_tokens\":{}}}", usage.prompt_tokens, usage.completion_tokens,
         static_cast<std::uint64_t>(usage.prompt_tokens) + usage.completion_tokens);
}

/// JSON has no -infinity; -9999 is what OpenAI writes for "impossible".
void append_logprob(std::string& out, float logprob) { append(out, "{}", std::isfinite(logprob) ? logprob : -9999.0F); }

/// A token that is a part of a character is shown as OpenAI does: bytes:\xe2\x80.
std::string shown(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  std::string out = "bytes:";
  for (const char byte : bytes) append(out, "\\x{:02x}", static_cast<unsigned char>(byte));
  return out;
}

void append_chat_token(std::string& out, std::string_view bytes, float logprob) {
  out += "\"token\":";
  append_json_string(out, shown(bytes));
  out += ",\"logprob\":";
  append_logprob(out, logprob);
  out += ",\"bytes\":[";
  for (std::size_t i = 0; i < bytes.size(); ++i) append(out, "{}{}", i == 0 ? "" : ",", static_cast<unsigned char>(bytes[i]));
  out += ']';
}

void append_chat_logprobs(std::string& out, std::span<const ApiTokenLogprob> logprobs) {
  out += "{\"content\":[";
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    out += i == 0 ? "{" : ",{";
    append_chat_token(out, logprobs[i].token, logprobs[i].logprob);
    out += ",\"top_logprobs\":[";
    for (std::size_t j = 0; j < logprobs[i].top.size(); ++j) {
      out += j == 0 ? "{" : ",{";
      append_chat_token(out, logprobs[i].top[j].first, logprobs[i].top[j].second);
      out += '}';
    }
    out += "]}";
  }
  out += "],\"refusal\":null}";
}

/// Adds the characters that begin in `bytes` to `offset`.
void add_characters(std::size_t& offset, std::string_view bytes) {
  offset += static_cast<std::size_t>(std::count_if(bytes.begin(), bytes.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

void append_text_logprobs(std::string& out, std::span<const ApiTokenLogprob> logprobs, std::size_t& offset) {
  std::string values;
  std::string tops;
  std::string offsets;
  out += "{\"tokens\":[";
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    const char* comma = i == 0 ? "" : ",";
    out += comma;
    append_json_string(out, shown(logprobs[i].token));
    values += comma;
    append_logprob(values, logprobs[i].logprob);
    append(tops, "{}{{", comma);
    for (std::size_t j = 0; j < logprobs[i].top.size(); ++j) {
      if (j > 0) tops += ',';
      append_json_string(tops, shown(logprobs[i].top[j].first));
      tops += ':';
      append_logprob(tops, logprobs[i].top[j].second);
    }
    tops += '}';
    append(offsets, "{}{}", comma, offset);
    add_characters(offset, logprobs[i].token);
  }
  append(out, "],\"token_logprobs\":[{}],\"top_logprobs\":[{}],\"text_offset\":[{}]}}", values, tops, offsets);
}

}  // namespace

AnswerWriter::AnswerWriter(const AnswerHead& head, bool usage_in_stream, bool with_logprobs)
    : form_(head.form),
      usage_in_stream_(usage_in_stream),
      with_logprobs_(with_logprobs),
      whole_head_(head_text(head, head.form == ApiForm::kChat ? "chat.completion" : "text_completion")),
      chunk_head_("data: " + head_text(head, head.form == ApiForm::kChat ? "chat.completion.chunk" : "text_completion")) {}

void AnswerWriter::append_logprobs(std::string& out, std::span<const ApiTokenLogprob> logprobs) {
  if (!with_logprobs_) out += "null";
  else if (form_ == ApiForm::kChat) append_chat_logprobs(out, logprobs);
  else append_text_logprobs(out, logprobs, text_offset_);
}

std::string AnswerWriter::whole(std::string_view text, std::string_view finish_reason, std::span<const ApiTokenLogprob> logprobs,
                                ApiUsage usage) {
  std::string out = whole_head_;
  out += form_ == ApiForm::kChat ? "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" : "[{\"index\":0,\"text\":";
  append_json_string(out, text);
  if (form_ == ApiForm::kChat) out += ",\"refusal\":null}";
  out += ",\"logprobs\":";
  append_logprobs(out, logprobs);
  append(out, ",\"finish_reason\":\"{}\"}}],\"usage\":", finish_reason);
  append_usage(out, usage);
  out += '}';
  return out;
}

std::string AnswerWriter::role_event() const {
  return fmt::format("{}[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},\"logprobs\":null,\"finish_reason\":null}}]{}}}\n\n",
                     chunk_head_, usage_in_stream_ ? ",\"usage\":null" : "");
}

std::string AnswerWriter::delta_event(std::string_view text, std::span<const ApiTokenLogprob> logprobs) {
  std::string out = chunk_head_;
  out += form_ == ApiForm::kChat ? "[{\"index\":0,\"delta\":{\"content\":" : "[{\"index\":0,\"text\":";
  append_json_string(out, text);
  out += form_ == ApiForm::kChat ? "},\"logprobs\":" : ",\"logprobs\":";
  if (logprobs.empty()) out += "null";
  else append_logprobs(out, logprobs);
  out += ",\"finish_reason\":null}]";
  if (usage_in_stream_) out += ",\"usage\":null";
  out += "}\n\n";
  return out;
}

std::string AnswerWriter::finish_event(std::string_view finish_reason) const {
  return fmt::format("{}[{{\"index\":0,{},\"logprobs\":null,\"finish_reason\":\"{}\"}}]{}}}\n\n", chunk_head_,
                     form_ == ApiForm::kChat ? "\"delta\":{}" : "\"text\":\"\"", finish_reason, usage_in_stream_ ? ",\"usage\":null" : "");
}

std::string AnswerWriter::usage_event(ApiUsage usage) const {
  std::string out = chunk_head_ + "[],\"usage\":";
  append_usage(out, usage);
  out += "}\n\n";
  return out;
}

std::string encode(const ApiError& error) {
  std::string out = "{\"error\":{\"message\":";
  append_json_string(out, error.message);
  out += ",\"type\":";
  append_json_string(out, error.type);
  out += ",\"param\":";
  append_string_or_null(out, error.param);
  out += ",\"code\":";
  append_string_or_null(out, error.code);
  out += "}}";
  return out;
}

std::string error_event(const ApiError& error) { return fmt::format("data: {}\n\n", encode(error)); }

std::string encode_model(const ModelCard& model) {
  std::string out = "{\"id\":";
  append_json_string(out, model.id);
  append(out, ",\"object\":\"model\",\"created\":{},\"owned_by\":\"flexpert\",\"max_model_len\":{}}}", model.created, model.max_context);
  return out;
}

std::string encode_models(std::span<const ModelCard> models) {
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (std::size_t i = 0; i < models.size(); ++i) out += (i == 0 ? "" : ",") + encode_model(models[i]);
  out += "]}";
  return out;
}

}  // namespace flexpert::codec
