#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace flexpert::engine {

/// How text is cut into pieces before BPE.
enum class PreTokenizer {
  kNone,   ///< one piece
  kGpt2,   ///< Hugging Face's ByteLevel with use_regex
  kQwen2,  ///< Qwen 2, 2.5 and 3
};

/// Recognises the regular expression of a Split pre-tokenizer.
std::optional<PreTokenizer> pre_tokenizer_of_pattern(std::string_view pattern);
/// Returns the length in bytes of the first piece of `text` (valid UTF-8, not empty). Linear over a whole text.
std::size_t first_piece(PreTokenizer kind, std::string_view text);

}  // namespace flexpert::engine
