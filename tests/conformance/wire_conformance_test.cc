#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "codec/http1.h"
#include "conformance/wire_cases.h"

namespace flexpert::conformance {
namespace {

const std::vector<WireCase>& cases() {
  static const std::vector<WireCase> all = read_wire_cases(FLEXPERT_SOURCE_DIR "/data/conformance/wire/messages.tsv");
  return all;
}

TEST(WireConformance, TheTableIsWholeAndNoCaseIsThereTwice) {
  EXPECT_EQ(cases().size(), 401U);
  std::set<std::pair<bool, std::string>> inputs;
  for (const WireCase& wire_case : cases()) EXPECT_TRUE(inputs.emplace(wire_case.answer, wire_case.input).second) << wire_case.name;
}

TEST(WireConformance, EveryCaseIsReadAsTheTableSaysHoweverItIsCut) {
  for (const WireCase& wire_case : cases())
    for (const std::size_t piece : {0, 1, 2, 7})
      EXPECT_EQ(wire_verdict(wire_case, piece), wire_case.verdict) << (wire_case.answer ? "answer: " : "request: ") << wire_case.name << ", pieces of " << piece;
}

enum class Framing { kRefused, kChunked, kNone };

/// What somebody who knows nothing but RFC 9110, 5.1 and 5.5, makes of a line of a head.
Framing by_the_book(const std::string& line) {
  const bool controls = std::any_of(line.begin(), line.end(), [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
  const std::size_t colon = line.find(':');
  const std::string name = line.substr(0, colon);
  if (controls || colon == std::string::npos || !codec::http1_is_token(name)) return Framing::kRefused;
  if (!codec::http1_equal_ignoring_case(name, "Transfer-Encoding"))
    return codec::http1_equal_ignoring_case(name, "Transfer_Encoding") ? Framing::kRefused : Framing::kNone;
  std::string value = line.substr(colon + 1);
  value.erase(0, value.find_first_not_of(" \t"));
  value.erase(value.find_last_not_of(" \t") + 1);
  return codec::http1_equal_ignoring_case(value, "chunked") ? Framing::kChunked : Framing::kRefused;
}

std::string verdict_with(const std::string& fields, const std::string& body) {
  return wire_verdict({.name = {}, .verdict = {}, .input = "POST / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body}, 0);
}

void expect_by_the_book(const std::string& line) {
  const Framing framing = by_the_book(line);
  const std::string alone = verdict_with(line + "\r\n", "5\r\nhello\r\n0\r\n\r\n");
  const std::string beside_a_length = verdict_with(line + "\r\nContent-Length: 5\r\n", "hello");
  EXPECT_EQ(alone == "ok 1 hello", framing == Framing::kChunked) << fmt::format("{:?}: {}", line, alone);
  EXPECT_EQ(beside_a_length == "ok 1 hello", framing == Framing::kNone) << fmt::format("{:?}: {}", line, beside_a_length);
  for (const std::string& verdict : {alone, beside_a_length})
    EXPECT_TRUE(verdict == "ok 1 hello" || verdict == "400" || verdict == "501") << fmt::format("{:?}: {}", line, verdict);
}

// What tools for request smuggling send, and all that they do not think of: any byte at any place of the line that frames.
TEST(WireConformance, AnyByteInTheLineThatFramesIsReadByTheBook) {
  const std::string usual = "Transfer-Encoding: chunked";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    for (std::size_t at = 0; at <= usual.size(); ++at) {
      std::string line = usual;
      expect_by_the_book(line.insert(at, 1, c));
      if (at == usual.size()) continue;
      line = usual;
      line[at] = c;
      expect_by_the_book(line);
    }
    for (const std::size_t at : {std::size_t{0}, usual.find(':'), usual.find(':') + 1, usual.size()})  // the same byte at two places
      for (const std::size_t other : {std::size_t{0}, usual.find(':'), usual.find(':') + 1, usual.size()})
        if (at < other) {
          std::string line = usual;
          expect_by_the_book(line.insert(other, 1, c).insert(at, 1, c));
        }
  }
}

}  // namespace
}  // namespace flexpert::conformance
