#include "engine/tokenizer/utf8.h"

#include <chrono>

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

TEST(Utf8, ReplacesInvalidPartsAsTheStandardDoes) {
  EXPECT_EQ(to_valid_utf8("abc \xC3\xA9"), "abc \xC3\xA9");
  EXPECT_EQ(to_valid_utf8("a\xFF" "b"), "a\uFFFDb");
  EXPECT_EQ(to_valid_utf8("\xE2\x82"), "\uFFFD");                  // unfinished: one
  EXPECT_EQ(to_valid_utf8("\xE2\x82" "x"), "\uFFFDx");             // maximal subpart: one
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate: three
  EXPECT_EQ(to_valid_utf8("\xC0\xAF"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(to_valid_utf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(to_valid_utf8(std::string_view("\0x", 2)), std::string_view("\0x", 2));
}

TEST(Utf8, NormalizesToFormC) {
  EXPECT_EQ(to_nfc("e\u0301"), "\u00E9");
  EXPECT_EQ(to_nfc("a\u0308\u0323"), "\u1EA1\u0308");      // marks are ordered, then composed
  EXPECT_EQ(to_nfc("\u212B\u2126"), "\u00C5\u03A9");       // singletons
  EXPECT_EQ(to_nfc("\u0958"), "\u0915\u093C");             // composition exclusion
  EXPECT_EQ(to_nfc("\u1100\u1161\u11A8"), "\uAC01");       // Hangul
  EXPECT_EQ(to_nfc("\uFB01 \u00B2 \u01C4"), "\uFB01 \u00B2 \u01C4");  // compatibility characters stay
  EXPECT_EQ(to_nfc("plain"), "plain");
}

TEST(Utf8, NormalizesALongRunOfMarksInTime) {
  std::string text = "q";
  for (int i = 0; i < 50'000; ++i) text += "\u0301\u0323";
  const auto start = std::chrono::steady_clock::now();
  const std::string normal = to_nfc(text);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(normal.substr(0, 5), "q\u0323\u0323");
  EXPECT_EQ(normal.size(), text.size());
}

TEST(Utf8, TellsTheClassesOfPreTokenizers) {
  for (const char32_t c : {U'a', U'Z', U'é', U'ß', U'日', U'ǅ', U'ʰ'}) EXPECT_EQ(class_of(c), CharClass::kLetter) << int(c);
  for (const char32_t c : {U'0', U'½', U'Ⅷ', U'٣', U'²'}) EXPECT_EQ(class_of(c), CharClass::kNumber) << int(c);
  for (const char32_t c : {U' ', U'\t', U'\v', U'\u0085', U'\u00A0', U'\u3000', U'\u2028'}) EXPECT_EQ(class_of(c), CharClass::kSpace) << int(c);
  for (const char32_t c : {U'\r', U'\n'}) EXPECT_EQ(class_of(c), CharClass::kNewline) << int(c);
  for (const char32_t c : {U'_', U'\'', U'\u0301', U'€', U'\u200B', U'\uFFFD', U'\U0001F600'}) EXPECT_EQ(class_of(c), CharClass::kOther) << int(c);
}

}  // namespace
}  // namespace flexpert::engine
