#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace flexpert::engine {

/// A token outside the BPE vocabulary's merges, found in text as it is. Fields as in tokenizer.json.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool normalized = false;   ///< looked for in the normalised text, else in the raw text
  bool special = false;      ///< not part of decoded text
};

/// A stretch of text: an added token, or (id -1) text for BPE.
struct TextSpan {
  std::string_view text;
  TokenId id = -1;
};

/// Finds added tokens in text, leftmost and longest first. Immutable after building, safe from any thread.
class AddedTokenFinder {
 public:
  void add(AddedToken token);
  [[nodiscard]] bool empty() const { return tokens_.empty(); }
  /// Cuts valid UTF-8 text into spans, in order; spans view into `text`.
  [[nodiscard]] std::vector<TextSpan> split(std::string_view text) const;

 private:
  /// Returns the index of the longest token at the front of `text`, or -1.
  [[nodiscard]] int longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;  // (trie node, byte) -> node; node 0 is the root
  std::vector<int> token_at_node_ = {-1};
};

}  // namespace flexpert::engine
