#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace flexpert::workload {

/// Reads a streamed answer of the OpenAI API (server-sent events of chat or text completion chunks) and judges at its end
/// whether it was whole.
class AnswerStream {
 public:
  using OnText = std::function<void(std::string_view text)>;

  /// Takes bytes as they come; calls `on_text` for every piece of text that is not empty.
  void feed(std::string_view bytes, const OnText& on_text);
  /// Returns what is wrong with the stream if no more bytes come; empty: it gave a finish_reason and ended with [DONE].
  [[nodiscard]] std::string problem() const;
  /// Returns the completion tokens that the server reported, or else the pieces of text.
  [[nodiscard]] std::uint64_t tokens() const { return reported_tokens_.value_or(pieces_); }
  /// Returns the prompt tokens that the server reported, if it did.
  [[nodiscard]] std::optional<std::uint64_t> prompt_tokens() const { return prompt_tokens_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& finish_reason() const { return finish_reason_; }

 private:
  void on_line(std::string_view line, const OnText& on_text);
  void on_chunk(std::string_view json, const OnText& on_text);

  std::string partial_line_;
  std::string text_;
  std::string finish_reason_;
  std::string error_;
  std::optional<std::uint64_t> reported_tokens_;
  std::optional<std::uint64_t> prompt_tokens_;
  std::uint64_t pieces_ = 0;
  bool done_ = false;
};

}  // namespace flexpert::workload
