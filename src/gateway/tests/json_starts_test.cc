#include "gateway/json_starts.h"

#include <string>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::gateway {
namespace {

using Problem = JsonStarts::Problem;

std::vector<std::uint32_t> starts_of(JsonStarts& starts, const std::string& text, bool plainly) {
  EXPECT_EQ(starts.find(text, plainly), Problem::kNone) << text;
  return {starts.data(), starts.data() + starts.count()};
}

TEST(JsonStarts, FindsWhereTokensBegin) {
  JsonStarts starts;
  EXPECT_EQ(starts_of(starts, R"({ "a" : [1,true , "b\"]" ] })", false), (std::vector<std::uint32_t>{0, 2, 6, 8, 9, 10, 11, 16, 18, 25, 27}));
  EXPECT_EQ(starts_of(starts, R"(1"2"3)", false), (std::vector<std::uint32_t>{0, 1, 4}));
}

TEST(JsonStarts, RefusesStringsThatAreNone) {
  JsonStarts starts;
  const std::string long_text(100, 'x');
  for (const bool plainly : {false, true}) {
    EXPECT_EQ(starts.find("\"" + long_text, plainly), Problem::kUnfinishedString);
    EXPECT_EQ(starts.find("\"" + long_text + "\\\"", plainly), Problem::kUnfinishedString);
    EXPECT_EQ(starts.find("\"" + long_text + "\n" + long_text + "\"", plainly), Problem::kControlCharacter);
    EXPECT_EQ(starts.find("\"" + long_text + "\\x" + long_text + "\"", plainly), Problem::kBadEscape);
    EXPECT_EQ(starts.find("\"" + long_text + "\\u12g4" + long_text + "\"", plainly), Problem::kBadEscape);
    EXPECT_EQ(starts.find("\"" + long_text + "\\u12", plainly), Problem::kBadEscape);
    EXPECT_EQ(starts.find("\"" + long_text + "\xff" + long_text + "\"", plainly), Problem::kNotUtf8);
    EXPECT_EQ(starts.find("[\xc0\x80]", plainly), Problem::kNotUtf8);
    EXPECT_EQ(starts.find("\"\xc3\xa9" + long_text + "\xf0\x9f\x98\x80\"", plainly), Problem::kNone);
  }
}

/// Random text of what matters, at every alignment: both ways to read give the same.
TEST(JsonStarts, BlocksAndBytesSayTheSame) {
  Rng rng(7);
  JsonStarts by_blocks;
  JsonStarts by_bytes;
  const std::vector<std::string> parts{"\"", "\\\"", "\\\\", "\\u00e9", "\\", "{", "}", "[", ":", ",", " ", "\n", "a", "12", "\xc3\xa9", "\xc3", "\x01",
                                       std::string(31, 'y'), std::string(40, 'z')};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::uint64_t i = rng.below(30); i > 0; --i) text += parts[rng.below(rng.below(4) == 0 ? parts.size() : 4)];
    for (std::uint64_t i = rng.below(6); i > 0; --i) text += parts[parts.size() - 1 - rng.below(2)] + parts[rng.below(3)];
    const Problem problem = by_blocks.find(text);
    ASSERT_EQ(problem, by_bytes.find(text, true)) << text;
    if (problem != Problem::kNone) continue;
    ASSERT_EQ(by_blocks.count(), by_bytes.count()) << text;
    for (std::size_t i = 0; i < by_blocks.count(); ++i) ASSERT_EQ(by_blocks.data()[i], by_bytes.data()[i]) << text;
  }
}

}  // namespace
}  // namespace flexpert::gateway
