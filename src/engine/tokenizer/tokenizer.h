#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::engine {

using TokenId = std::int32_t;

/// A byte-level BPE tokenizer read from tokenizer.json (and tokenizer_config.json beside it, if there).
/// Immutable, safe from any thread.
class Tokenizer {
 public:
  /// Reads FOLDER/tokenizer.json. Errors name the file and the field.
  static Result<std::shared_ptr<const Tokenizer>> open(const std::string& folder);
  /// Reads the text of a tokenizer.json; for fuzzing and tests.
  static Result<std::shared_ptr<const Tokenizer>> parse(std::string_view tokenizer_json);
  virtual ~Tokenizer() = default;

  /// Encodes UTF-8 text; added and special tokens in it are recognised. Invalid UTF-8 is replaced by U+FFFD first.
  [[nodiscard]] virtual std::vector<TokenId> encode(std::string_view text) const = 0;
  /// Returns the bytes of a token (may be a part of a UTF-8 character); empty for ids out of range.
  [[nodiscard]] virtual std::string_view bytes_of(TokenId id) const = 0;
  [[nodiscard]] virtual bool is_special(TokenId id) const = 0;
  /// Returns the id of an added token by its exact content, or -1.
  [[nodiscard]] virtual TokenId id_of_added(std::string_view content) const = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;
};

/// Turns a stream of tokens into text, never splitting a UTF-8 character: bytes that may still become one are held
/// back until the next token or flush(). Special tokens give no text.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}
  /// Returns the text that is complete now.
  std::string push(TokenId id);
  /// Returns what is left, invalid bytes as U+FFFD.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  std::string pending_;
};

}  // namespace flexpert::engine
