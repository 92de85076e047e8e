#include "gateway/json_strings.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <simdjson.h>

#include "base/rng.h"

namespace flexpert::gateway {
namespace {

std::vector<StringReading> ways() {
  std::vector<StringReading> ways;
  for (const StringReading way : {StringReading::kPlain, StringReading::kAvx2, StringReading::kAvx512})
    if (can_read_strings(way)) ways.push_back(way);
  return ways;
}

/// What a way says about a string, all of it in memory of its own, so that a sanitizer sees what is read behind it.
struct Said {
  std::ptrdiff_t length = -1;  ///< from the opening quote to behind the closing one; -1: refused
  bool ascii = true;
  bool operator==(const Said&) const = default;
};
Said read(StringReading way, const std::string& text) {
  const auto copy = std::make_unique<char[]>(text.size());
  text.copy(copy.get(), text.size());
  Said said;
  const char* const behind = string_skipper(way)(copy.get() + 1, copy.get() + text.size(), said.ascii);
  if (behind != nullptr) said.length = behind - copy.get();
  return said;
}

/// All ways must say what reading byte by byte does.
Said read_all(const std::string& text) {
  const Said plain = read(StringReading::kPlain, text);
  for (const StringReading way : ways()) {
    const Said said = read(way, text);
    EXPECT_EQ(said.length, plain.length) << static_cast<int>(way) << ": " << text;
    // What stands behind a string may be looked at too.
    if (plain.length >= 0) {
      EXPECT_TRUE(plain.ascii || !said.ascii) << static_cast<int>(way) << ": " << text;
    }
  }
  return plain;
}

TEST(JsonStrings, SayWhyAStringIsNone) {
  const std::string long_text(100, 'x');
  for (const StringReading way : ways()) {
    const auto problem = [way](const std::string& text) { return problem_of_strings(text, string_skipper(way)); };
    EXPECT_EQ(problem("\"" + long_text), StringProblem::kUnfinished);
    EXPECT_EQ(problem("\"" + long_text + "\\\""), StringProblem::kUnfinished);
    EXPECT_EQ(problem("\"" + long_text + "\n" + long_text + "\""), StringProblem::kControlCharacter);
    EXPECT_EQ(problem("\"" + long_text + "\\x" + long_text + "\""), StringProblem::kBadEscape);
    EXPECT_EQ(problem("\"" + long_text + "\\u12g4" + long_text + "\""), StringProblem::kBadEscape);
    EXPECT_EQ(problem("\"" + long_text + "\\u12"), StringProblem::kBadEscape);
    EXPECT_EQ(problem("\"\x01\"" + long_text + "\xff"), StringProblem::kNotUtf8);
    EXPECT_EQ(problem("[\xc0\x80]"), StringProblem::kNotUtf8);
    EXPECT_EQ(problem("\"\xc3\xa9" + long_text + "\xf0\x9f\x98\x80\""), StringProblem::kNone);
  }
}

TEST(JsonStrings, AnEscapeMayStandAnywhere) {
  const std::vector<std::string> good{R"(\n)", R"(\")", R"(\\)", R"(\/)", R"(\b\f\r\t)", R"(\\\\)", R"(\\\")", R"(\\n)", R"(\u00e9)",
                                      R"(\ud83d\ude00)", R"(\uAbCd\\)", "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80", "\\n\xc3\xa9"};
  const std::vector<std::string> bad{R"(\x)", R"(\u12g4)", R"(\u)", R"(\u123)", R"(\\\)", R"(\U0041)", R"(\ )", "\\\xc3\xa9",
                                     "\\\xee\x80\x80", "\\\n"};
  for (const std::size_t behind : {0, 1, 70, 140})
    for (std::size_t before = 0; before < 200; ++before) {
      const auto around = [=](const std::string& text) { return "\"" + std::string(before, 'a') + text + std::string(behind, 'z') + "\""; };
      for (const std::string& text : good) ASSERT_EQ(static_cast<std::size_t>(read_all(around(text)).length), around(text).size()) << text;
      for (const std::string& text : bad) ASSERT_EQ(read_all(around(text)).length, -1) << around(text);
    }
}

TEST(JsonStrings, NoControlCharacterMayStandAnywhere) {
  for (char c = 0; c < 0x20; ++c)
    for (std::size_t before = 0; before < 140; ++before) {
      const std::string text = "\"" + std::string(before, 'a') + c;
      ASSERT_EQ(read_all(text + "\"").length, -1);
      ASSERT_EQ(read_all(text + std::string(130, 'z') + "\"").length, -1);
    }
}

TEST(JsonStrings, AStringThatBreaksOffIsNone) {
  std::string text = "\"";
  while (text.size() < 400) text += R"(some text \"or\" other,\n \u00e9\\\\ and é, 中 and 😀; )";
  for (std::size_t size = 1; size <= text.size(); ++size) ASSERT_EQ(read_all(text.substr(0, size)).length, -1) << size;
  EXPECT_EQ(read_all(text + "\"").length, static_cast<std::ptrdiff_t>(text.size() + 1));
}

/// Random text of what matters, dense and sparse: all ways take just the strings that another parser does.
TEST(JsonStrings, AllWaysTakeWhatAnotherParserTakes) {
  // No surrogates: halves of a pair are good here (RFC 8259, 8.2) and not there.
  const std::vector<std::string> parts{"\\\"", "\\\\", "\\n", "\\u00e9", "\\u4E2d", "/", "a", "u12ab", "\xc3\xa9", "\xe4\xb8\xad",
                                       std::string(15, 'w'), std::string(31, 'y'), std::string(64, 'z'), "\\", "\\u00", "\xc3", "\x01", "\""};
  simdjson::dom::parser parser;
  Rng rng(7);
  int taken = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string text = "\"";
    const std::size_t kinds = rng.below(3) == 0 ? parts.size() : parts.size() - 5;
    for (std::uint64_t i = rng.below(40); i > 0; --i) text += parts[rng.below(kinds)];
    text += '"';
    const bool good = parser.parse(text).error() == simdjson::SUCCESS;
    const Said said = read_all(text);
    ASSERT_EQ(said.length == static_cast<std::ptrdiff_t>(text.size()) && (said.ascii || simdjson::validate_utf8(text)), good) << text;
    taken += good ? 1 : 0;
  }
  EXPECT_GT(taken, 15'000);
}

TEST(JsonStrings, AShortStringIsSkippedAtOnceOrNotAtAll) {
  for (std::size_t size = 0; size < 20; ++size) {
    const std::string text = std::string(size, 'k') + "\"" + std::string(20, ' ');
    const char* const behind = skip_short_string(text.data());
    EXPECT_TRUE(behind == nullptr || behind == text.data() + size + 1);
    for (const char c : {'\\', '\n', '\x1f', '\x80', '\xff'}) {
      std::string bad = text;
      if (size == 0) continue;
      bad[size - 1] = c;
      EXPECT_EQ(skip_short_string(bad.data()), nullptr);
    }
  }
}

}  // namespace
}  // namespace flexpert::gateway
