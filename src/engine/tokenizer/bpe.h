#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "engine/tokenizer/tokenizer.h"

namespace flexpert::engine {

/// Turns the text form of a byte-level token (GPT-2's printable alphabet: "Ġa") into its bytes (" a"). A text with other
/// characters stands for itself, and `in_alphabet` becomes false.
std::string bytes_of_token_text(std::string_view text, bool& in_alphabet);

/// Byte-level BPE: pieces of text to tokens. Immutable once built, safe from any thread.
class Bpe {
 public:
  /// Reserves room; `token_bytes[id]` are filled in by add_token.
  explicit Bpe(bool ignore_merges) : ignore_merges_(ignore_merges) { byte_ids_.fill(-1); }

  /// Adds a token by its text form. `id` >= 0. Errors: an id used twice.
  Result<void> add_token(std::string_view text, TokenId id);
  /// Adds the merge of the next rank. Errors name the token that is not in the vocabulary.
  Result<void> add_merge(std::string_view left, std::string_view right);
  /// Checks that all bytes can be encoded, and drops what only building needs.
  Result<void> finish();

  /// Appends the tokens of a piece, in time n log n.
  void encode(std::string_view piece, std::vector<TokenId>& out) const;
  /// Bytes by id; empty where the vocabulary has a hole.
  [[nodiscard]] const std::vector<std::string>& token_bytes() const { return token_bytes_; }
  /// Returns the id of a token by its text form, or -1. Only until finish().
  [[nodiscard]] TokenId find(std::string_view text) const;

 private:
  struct Merge {
    std::uint32_t rank = 0;
    TokenId id = 0;
  };
  [[nodiscard]] const Merge* merge_of(TokenId left, TokenId right) const;

  bool ignore_merges_;
  std::uint32_t ranks_ = 0;
  std::array<TokenId, 256> byte_ids_;
  std::vector<std::string> token_bytes_;
  std::vector<bool> used_;
  std::unordered_map<std::string, TokenId> by_text_;
  std::unordered_map<std::string, TokenId> by_bytes_;  // filled only for ignore_merges
  std::unordered_map<std::uint64_t, Merge> merges_;
};

}  // namespace flexpert::engine
