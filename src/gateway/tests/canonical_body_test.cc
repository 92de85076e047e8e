#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "gateway/canonical_body.h"

namespace flexpert::gateway {
namespace {

constexpr std::string_view kChat = "/v1/chat/completions";

std::string canonical(std::string_view body, std::string_view path = kChat) {
  CanonicalBody bodies;
  std::string out;
  const auto why = bodies.write(path, body, out);
  return why.empty() ? out : "not: " + std::string(why);
}

TEST(CanonicalBody, OrderOfKeysWhiteSpaceAndEscapesDoNotMatter) {
  const std::string one = canonical(R"({"model":"m","temperature":0,"messages":[{"role":"user","content":"Aé"}]})");
  EXPECT_EQ(one.find("not: "), std::string::npos);
  EXPECT_EQ(one,
            canonical("{ \"messages\" : [ {\"content\":\"\\u0041\\u00e9\",\n\"role\":\"user\"} ],\t\"temperature\":0, \"model\":\"m\" }"));
}

TEST(CanonicalBody, LeavesOutOnlyWhatCannotChangeAnAnswer) {
  const std::string plain = canonical(R"({"model":"m","temperature":0})");
  EXPECT_EQ(canonical(R"({"model":"m","temperature":0,"user":"u","metadata":{"a":"b"},"stream":false})"), plain);
  EXPECT_NE(canonical(R"({"model":"m","temperature":0,"user":5})"), plain) << "an engine may refuse it";
  EXPECT_NE(canonical(R"({"model":"m","temperature":0,"metadata":{"a":1}})"), plain);
  EXPECT_NE(canonical(R"({"model":"m","temperature":0,"seed":1})"), plain);
  EXPECT_NE(canonical(R"({"model":"m","temperature":0,"messages":[{"user":"u"}]})"),
            canonical(R"({"model":"m","temperature":0,"messages":[{}]})"));
}

TEST(CanonicalBody, NumbersAreTheSameOnlyIfAnEngineMustTakeThemForTheSame) {
  const auto with = [](std::string_view number) { return canonical(R"({"temperature":0,"x":)" + std::string(number) + "}"); };
  EXPECT_EQ(with("0.5"), with("5e-1"));
  EXPECT_EQ(with("0.1"), with("0.10"));
  EXPECT_NE(with("1"), with("1.0"));
  EXPECT_NE(with("1"), with("\"1\""));
  EXPECT_NE(with("9007199254740993"), with("9007199254740992"));
  EXPECT_NE(with("18446744073709551615"), with("-1"));
  EXPECT_EQ(with("99999999999999999999999"), "not: not JSON") << "more than anybody reads exactly";
}

TEST(CanonicalBody, OnlyGreedySingleWholeAnswersAreShared) {
  EXPECT_EQ(canonical(R"({"model":"m"})"), "not: not greedy");
  EXPECT_EQ(canonical(R"({"model":"m","temperature":0.1,"seed":1})"), "not: not greedy");
  EXPECT_EQ(canonical(R"({"model":"m","temperature":null})"), "not: not greedy");
  EXPECT_EQ(canonical(R"({"temperature":0,"n":2})"), "not: several choices");
  EXPECT_EQ(canonical(R"({"temperature":0,"stream":true})"), "not: streamed");
  EXPECT_EQ(canonical(R"({"temperature":0,"tools":[]})"), "not: has effects");
  EXPECT_EQ(canonical(R"({"temperature":0,"store":true})"), "not: has effects");
  EXPECT_EQ(canonical(R"({"temperature":0,"n":1,"best_of":null,"tools":null})").find("not: "), std::string::npos);
  EXPECT_EQ(canonical(R"({"model":"m","input":"x"})", "/v1/embeddings").find("not: "), std::string::npos);
  EXPECT_EQ(canonical(R"({"temperature":0})", "/route"), "not: not a completion");
}

TEST(CanonicalBody, WhatTwoReadersCouldReadDifferentlyIsNotShared) {
  EXPECT_EQ(canonical(R"({"temperature":0,"temperature":0})"), "not: a key twice");
  EXPECT_EQ(canonical(R"({"temperature":0,"m":[{"a":1,"\u0061":2}]})"), "not: a key twice, or nested too deeply");
  EXPECT_EQ(canonical(R"({"temperature":0,"m":)" + std::string(70, '[') + std::string(70, ']') + "}"),
            "not: a key twice, or nested too deeply");
  EXPECT_EQ(canonical("[]"), "not: not JSON");
  EXPECT_EQ(canonical(""), "not: not JSON");
  EXPECT_EQ(canonical("{\"temperature\":0"), "not: not JSON");
}

/// A random JSON value that can be written in many ways.
struct Member;
struct Value {
  char kind = 'n';
  std::string text;
  std::vector<Member> members;
};
struct Member {
  std::string key;
  Value value;
};

Value random_value(Rng& rng, int depth) {
  static constexpr std::string_view kTexts[] = {"", "a", "b", "s1:a", "{1:", "\"", "\\", "\n", "ü", "3"};
  Value value;
  const auto kind = rng.below(depth > 3 ? 4 : 6);
  value.kind = "ntis{["[kind];
  if (value.kind == 'i') value.text = std::to_string(rng.below(20));
  if (value.kind == 's') value.text = kTexts[rng.below(std::size(kTexts))];
  if (value.kind != '{' && value.kind != '[') return value;
  for (std::uint64_t i = rng.below(4); i-- > 0;) {
    std::string key =
        value.kind == '[' ? std::to_string(value.members.size()) : std::string(kTexts[rng.below(std::size(kTexts))]) + std::to_string(i);
    value.members.push_back({std::move(key), random_value(rng, depth + 1)});
  }
  return value;
}

std::string spaced(Rng& rng) { return std::string(std::string_view(" \n\t").substr(0, rng.below(4))); }

std::string quoted(const std::string& text, Rng& rng) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += std::string("\\") + c;
    else if (byte < 0x20 || (byte < 0x80 && rng.below(3) == 0)) out += fmt::format("\\u{:04x}", byte);
    else out += c;
  }
  return out + "\"";
}

std::string written(const Value& value, Rng& rng) {
  if (value.kind == 'n') return "null";
  if (value.kind == 't') return "true";
  if (value.kind == 'i') return value.text;
  if (value.kind == 's') return quoted(value.text, rng);
  std::vector<Member> members = value.members;
  if (value.kind == '{')
    for (std::size_t i = members.size(); i > 1; --i) std::swap(members[i - 1], members[rng.below(i)]);
  std::string out(1, value.kind);
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0) out += ",";
    out += spaced(rng);
    if (value.kind == '{') out += quoted(members[i].key, rng) + spaced(rng) + ":";
    out += written(members[i].value, rng) + spaced(rng);
  }
  return out + (value.kind == '{' ? "}" : "]");
}

/// The same value in one fixed way, for comparing.
std::string fixed(Value value) {
  std::string out(1, value.kind);
  out += std::to_string(value.text.size()) + "'" + value.text;
  if (value.kind == '{')
    std::sort(value.members.begin(), value.members.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  for (const auto& [key, member] : value.members) out += "<" + std::to_string(key.size()) + "'" + key + fixed(member) + ">";
  return out;
}

TEST(CanonicalBody, IsTheSameExactlyForTheSameValue) {
  Rng rng(11);
  CanonicalBody bodies;
  std::vector<std::pair<std::string, std::string>> seen;  // fixed, canonical
  for (int i = 0; i < 400; ++i) {
    const Value value = random_value(rng, 0);
    std::string first;
    std::string second;
    ASSERT_EQ(bodies.write(kChat, R"({"temperature":0,"x":)" + written(value, rng) + "}", first), "");
    ASSERT_EQ(bodies.write(kChat, R"({"x":)" + written(value, rng) + R"(, "temperature":0})", second), "");
    ASSERT_EQ(first, second);
    seen.emplace_back(fixed(value), first);
  }
  for (const auto& [value, text] : seen)
    for (const auto& [other_value, other_text] : seen) ASSERT_EQ(value == other_value, text == other_text) << value << " " << other_value;
}

}  // namespace
}  // namespace flexpert::gateway
