#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/pre_tokenizer.h"

namespace flexpert::engine {

/// What a tokenizer.json says, checked.
struct TokenizerParts {
  Bpe bpe{false};
  std::vector<AddedToken> added;
  PreTokenizer pre_tokenizer = PreTokenizer::kNone;
  bool nfc = false;
  bool add_prefix_space = false;
};

/// Reads the text of a tokenizer.json. What would change the tokens and is not implemented is refused by name.
Result<TokenizerParts> parse_tokenizer_json(std::string_view text);

/// Adds the added_tokens_decoder of a tokenizer_config.json to `added` where an id is not there yet, and refuses
/// settings that add tokens to every text.
Result<void> apply_tokenizer_config(std::string_view text, std::vector<AddedToken>& added);

}  // namespace flexpert::engine
