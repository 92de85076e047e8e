#include "engine/tokenizer/pre_tokenizer.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(PreTokenizer kind, std::string_view text) {
  Pieces pieces;
  while (!text.empty()) {
    const std::size_t length = first_piece(kind, text);
    pieces.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

Pieces gpt2(std::string_view text) { return split(PreTokenizer::kGpt2, text); }
Pieces qwen(std::string_view text) { return split(PreTokenizer::kQwen2, text); }

TEST(PreTokenizer, Gpt2KeepsOneSpaceWithTheWord) {
  EXPECT_EQ(gpt2("Hello world"), (Pieces{"Hello", " world"}));
  EXPECT_EQ(gpt2("a  b"), (Pieces{"a", " ", " b"}));
  EXPECT_EQ(gpt2("a \n b"), (Pieces{"a", " \n", " b"}));
  EXPECT_EQ(gpt2("a\n\nb"), (Pieces{"a", "\n", "\n", "b"}));
  EXPECT_EQ(gpt2("a  "), (Pieces{"a", "  "}));
}

TEST(PreTokenizer, Gpt2SplitsContractionsLettersNumbersAndTheRest) {
  EXPECT_EQ(gpt2("don't WE'LL we'll"), (Pieces{"don", "'t", " WE", "'", "LL", " we", "'ll"}));
  EXPECT_EQ(gpt2("x123 456!?é"), (Pieces{"x", "123", " 456", "!?", "é"}));
  EXPECT_EQ(gpt2(" 's"), (Pieces{" '", "s"}));
}

TEST(PreTokenizer, QwenTakesSingleDigitsAndOneCharacterBeforeLetters) {
  EXPECT_EQ(qwen("x123 4"), (Pieces{"x", "1", "2", "3", " ", "4"}));
  EXPECT_EQ(qwen("(foo)_bar"), (Pieces{"(foo", ")_", "bar"}));
  EXPECT_EQ(qwen("\tfoo\u00A0bar"), (Pieces{"\tfoo", "\u00A0bar"}));
  EXPECT_EQ(qwen("\nfoo"), (Pieces{"\n", "foo"}));
}

TEST(PreTokenizer, QwenIgnoresCaseInContractions) {
  EXPECT_EQ(qwen("WE'LL it'S 'ſx"), (Pieces{"WE", "'LL", " it", "'S", " '", "ſx"}));
  EXPECT_EQ(qwen("a'ſ"), (Pieces{"a", "'ſ"}));
}

TEST(PreTokenizer, QwenKeepsLineEndsTogether) {
  EXPECT_EQ(qwen("end.\n\nNext"), (Pieces{"end", ".\n\n", "Next"}));
  EXPECT_EQ(qwen("a \n \n  b"), (Pieces{"a", " \n \n", " ", " b"}));
  EXPECT_EQ(qwen("a\r\n"), (Pieces{"a", "\r\n"}));
  EXPECT_EQ(qwen("a   "), (Pieces{"a", "   "}));
}

TEST(PreTokenizer, KnowsTheirPatternsOnly) {
  EXPECT_FALSE(pre_tokenizer_of_pattern("\\w+"));
  EXPECT_EQ(pre_tokenizer_of_pattern(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"), PreTokenizer::kGpt2);
}

}  // namespace
}  // namespace flexpert::engine
