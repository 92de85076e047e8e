#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// UTF-8 as the tokenizer needs it. Pure functions.
namespace flexpert::engine {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// What stands at the front of some bytes.
struct Utf8Unit {
  enum class Kind { kCharacter, kInvalid, kUnfinished };
  Kind kind = Kind::kInvalid;
  std::size_t length = 0;  ///< bytes of the character, or of the invalid part that one U+FFFD stands for
  char32_t code_point = 0xFFFD;
};

/// Looks at the first character of `bytes` (not empty). Invalid bytes are cut as in the Unicode standard (maximal
/// subparts); kUnfinished means that more bytes could still complete a character.
Utf8Unit first_unit(std::string_view bytes);
/// Appends `bytes` to `out` with invalid parts as U+FFFD, up to an unfinished character at the end. Returns how many
/// bytes were taken.
std::size_t append_valid(std::string_view bytes, std::string& out);
/// Returns `bytes` with every invalid or unfinished part as U+FFFD.
std::string to_valid_utf8(std::string_view bytes);
void append_utf8(char32_t code_point, std::string& out);

/// The classes that pre-tokenizers tell apart.
enum class CharClass : std::uint8_t {
  kLetter,   ///< \p{L}
  kNumber,   ///< \p{N}
  kNewline,  ///< \r and \n
  kSpace,    ///< the other \s (Unicode White_Space)
  kOther,
};
CharClass class_of(char32_t code_point);
/// Tells whether a regular expression's \w matches.
bool is_word(char32_t code_point);

/// Returns valid UTF-8 text in Unicode normalization form C, in time n log n at worst.
std::string to_nfc(std::string_view text);

}  // namespace flexpert::engine
