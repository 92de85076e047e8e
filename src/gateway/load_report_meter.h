#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace flexpert::gateway {

/// Counts the tokens of an OpenAI answer while its bytes pass, cut anywhere: by its `usage`, if it has one, else by the
/// pieces of text in it (one a token, as engines stream them). Reads streams and whole answers. Allocates nothing.
class AnswerMeter {
 public:
  void feed(std::string_view bytes);
  /// Pieces of text so far: "content", "reasoning_content", "text" or "arguments" that are not empty.
  [[nodiscard]] std::uint32_t pieces() const { return pieces_; }
  [[nodiscard]] std::optional<std::uint64_t> prompt_tokens() const { return prompt_; }
  [[nodiscard]] std::optional<std::uint64_t> completion_tokens() const { return completion_; }

 private:
  enum class Key { kOther, kText, kPrompt, kCompletion };
  enum class State { kBetween, kString, kEscape, kAfterString, kValue, kNumber, kTextBegin };
  [[nodiscard]] Key key() const;
  void end_number();

  State state_ = State::kBetween;
  Key key_ = Key::kOther;
  std::array<char, 20> name_{};   ///< the string that was read last, as far as a key may go
  std::size_t name_size_ = 0;
  std::uint64_t number_ = 0;
  std::uint32_t pieces_ = 0;
  std::optional<std::uint64_t> prompt_;
  std::optional<std::uint64_t> completion_;
};

}  // namespace flexpert::gateway
