#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace flexpert::gateway {

/// Counts the tokens of an OpenAI answer while its bytes pass, cut anywhere: by its `usage`, if it has one, else by the
/// pieces of text in it (one a token, as engines stream them). Reads streams and whole answers. Allocates nothing, and looks only
/// at colons: about 0.2 instructions a byte and 10 a colon. A key, its colon and the beginning of its value must stand within
/// kBehind and kAhead bytes of the colon, on one line.
class AnswerMeter {
 public:
  void feed(std::string_view bytes);
  /// Pieces of text so far: "content", "reasoning_content", "text" or "arguments" that are not empty. Those of a whole answer that
  /// tells its usage are not counted.
  [[nodiscard]] std::uint32_t pieces() const { return held_size_ == 0 ? counts_.pieces : all().pieces; }
  [[nodiscard]] std::optional<std::uint64_t> prompt_tokens() const { return held_size_ == 0 ? counts_.prompt : all().prompt; }
  [[nodiscard]] std::optional<std::uint64_t> completion_tokens() const { return held_size_ == 0 ? counts_.completion : all().completion; }

 private:
  static constexpr std::size_t kBehind = 24;  ///< the longest key with its quotes, what stands before it, and a few spaces
  static constexpr std::size_t kAhead = 24;   ///< spaces and a number of tokens

  struct Counts {
    std::uint32_t pieces = 0;
    std::optional<std::uint64_t> prompt;
    std::optional<std::uint64_t> completion;

    /// Looks at the colons in text[from, to).
    void look(std::string_view text, std::size_t from, std::size_t to);
    /// Looks for both numbers of `usage` near the end, from behind; changes nothing unless both are there.
    bool look_at_end(std::string_view text);
    void look_at(std::string_view text, std::size_t colon);
  };
  /// With what is held back: as if nothing more came.
  [[nodiscard]] Counts all() const;
  void hold(std::string_view text, std::size_t looked_at);

  Counts counts_;
  std::array<char, kBehind + kAhead> held_{};  ///< the last bytes, where a key or value may go on in the next piece
  std::uint8_t held_size_ = 0;
  std::uint8_t looked_at_ = 0;                 ///< of them: only what stands before a later colon
};

}  // namespace flexpert::gateway
