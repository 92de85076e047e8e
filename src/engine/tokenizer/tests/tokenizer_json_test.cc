// tokenizer.json as files have it and as they should not: variants of the shipped one.
#include <fstream>
#include <functional>
#include <iterator>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "engine/tokenizer/tokenizer.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;

const json::value& shipped() {
  static const json::value kValue = [] {
    std::ifstream file(std::string(FLEXPERT_SOURCE_DIR) + "/models/flexpert-tiny-moe/tokenizer.json");
    return json::parse(std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()));
  }();
  return kValue;
}

using Change = std::function<void(json::object& root, json::object& model)>;

Result<std::shared_ptr<const Tokenizer>> changed(const Change& change) {
  json::value value = shipped();
  change(value.as_object(), value.at("model").as_object());
  return Tokenizer::parse(json::serialize(value));
}

void expect_refused(const std::string& part, const Change& change) {
  const auto tokenizer = changed(change);
  ASSERT_FALSE(tokenizer) << part;
  EXPECT_NE(tokenizer.error().message.find(part), std::string::npos) << tokenizer.error().message;
  EXPECT_TRUE(tokenizer.error().message.starts_with("tokenizer.json: ")) << tokenizer.error().message;
}

json::object added(int id, const char* content, const char* flag) {
  return {{"id", id}, {"content", content}, {"special", false}, {"normalized", false}, {flag, true}};
}

TEST(TokenizerJson, TakesMergesAsPairs) {
  const auto pairs = changed([](json::object&, json::object& model) {
    for (json::value& merge : model["merges"].as_array()) {
      const std::string text = json::value_to<std::string>(merge);
      merge = json::array{text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)};
    }
  });
  ASSERT_TRUE(pairs) << pairs.error().message;
  const auto strings = Tokenizer::parse(json::serialize(shipped()));
  EXPECT_EQ((*pairs)->encode("the quick brown fox"), (*strings)->encode("the quick brown fox"));
}

TEST(TokenizerJson, IgnoreMergesTakesWholeWords) {
  const auto plain = changed([](json::object&, json::object& model) { model["vocab"].as_object()["zqxzqx"] = 3000; });
  const auto whole = changed([](json::object&, json::object& model) {
    model["vocab"].as_object()["zqxzqx"] = 3000;
    model["ignore_merges"] = true;
  });
  ASSERT_TRUE(plain && whole);
  EXPECT_GT((*plain)->encode("zqxzqx").size(), 1U);
  EXPECT_EQ((*whole)->encode("zqxzqx"), std::vector<TokenId>{3000});
}

TEST(TokenizerJson, AppliesNfcAndPrefixSpace) {
  const auto nfc = changed([](json::object& root, json::object&) { root["normalizer"] = {{"type", "NFC"}}; });
  ASSERT_TRUE(nfc);
  EXPECT_EQ((*nfc)->encode("e\u0301"), (*nfc)->encode("\u00E9"));
  const auto prefixed = changed([](json::object& root, json::object&) { root["pre_tokenizer"].as_object()["add_prefix_space"] = true; });
  ASSERT_TRUE(prefixed);
  EXPECT_EQ((*prefixed)->encode("word"), (*prefixed)->encode(" word"));
}

TEST(TokenizerJson, HonoursTheFlagsOfAddedTokens) {
  const auto tokenizer = changed([](json::object& root, json::object&) {
    json::array& tokens = root["added_tokens"].as_array();
    tokens.push_back(added(3000, "[L]", "lstrip"));
    tokens.push_back(added(3001, "[R]", "rstrip"));
    tokens.push_back(added(3002, "wo", "single_word"));
    tokens.push_back(added(3003, "[LL", "special"));
    tokens.push_back(added(3004, "[LLL]", "special"));
  });
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const auto ids = [&](std::string_view text) { return (*tokenizer)->encode(text); };
  EXPECT_EQ(ids("a \n [L] b").size(), 3U);
  EXPECT_EQ(ids("a \n [L] b")[1], 3000);
  EXPECT_EQ(ids("[R] \t "), std::vector<TokenId>{3001});
  EXPECT_EQ(ids("wo"), std::vector<TokenId>{3002});
  EXPECT_EQ(ids("\u00E9wo"), changed([](json::object&, json::object&) {}).value()->encode("\u00E9wo"));
  EXPECT_EQ(ids("[LLL][LL"), (std::vector<TokenId>{3004, 3003}));  // the longest first
  EXPECT_EQ((*tokenizer)->size(), 3005U);
  EXPECT_EQ((*tokenizer)->id_of_added("wo"), 3002);
}

TEST(TokenizerJson, RefusesBadJson) {
  for (const char* text : {"", "{", "[]", "7", "{}", "{\"model\":{}}", "\xff"}) EXPECT_FALSE(Tokenizer::parse(text)) << text;
  EXPECT_FALSE(Tokenizer::parse(std::string(100'000, '[')));
}

TEST(TokenizerJson, RefusesWhatItDoesNotImplement) {
  expect_refused("unsupported normalizer", [](json::object& root, json::object&) { root["normalizer"] = {{"type", "Lowercase"}}; });
  expect_refused("unsupported pre_tokenizer", [](json::object& root, json::object&) { root["pre_tokenizer"] = {{"type", "Metaspace"}}; });
  expect_refused("unsupported pre_tokenizer pattern", [](json::object& root, json::object&) {
    root["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Split"}, {"pattern", {{"Regex", "\\w+"}}}, {"behavior", "Isolated"}}}}};
  });
  expect_refused("pre_tokenizer", [](json::object& root, json::object&) { root["pre_tokenizer"] = nullptr; });
  expect_refused("unsupported decoder", [](json::object& root, json::object&) { root["decoder"] = {{"type", "WordPiece"}}; });
  expect_refused("unsupported post_processor", [](json::object& root, json::object&) { root["post_processor"] = {{"type", "TemplateProcessing"}}; });
  expect_refused("byte_fallback is true", [](json::object&, json::object& model) { model["byte_fallback"] = true; });
  expect_refused("unsupported model.type", [](json::object&, json::object& model) { model["type"] = "Unigram"; });
  expect_refused("model.dropout is 1E-1", [](json::object&, json::object& model) { model["dropout"] = 0.1; });
  expect_refused("model.end_of_word_suffix", [](json::object&, json::object& model) { model["end_of_word_suffix"] = "</w>"; });
}

TEST(TokenizerJson, RefusesBadVocabularies) {
  expect_refused("two tokens have the same id: 5", [](json::object&, json::object& model) { model["vocab"].as_object()["zz9"] = 5; });
  expect_refused("token id must be a whole number", [](json::object&, json::object& model) { model["vocab"].as_object()["zz9"] = -1; });
  expect_refused("token id must be a whole number", [](json::object&, json::object& model) { model["vocab"].as_object()["zz9"] = 1.5; });
  expect_refused("token id must be a whole number", [](json::object&, json::object& model) { model["vocab"].as_object()["zz9"] = 1'000'000'000'000; });
  expect_refused("no token for the byte 0x", [](json::object& root, json::object& model) {
    model["vocab"] = json::object{{"a", 0}};
    model["merges"] = json::array{};
    root["added_tokens"] = json::array{};
  });
  expect_refused("model.vocab", [](json::object&, json::object& model) { model["vocab"] = json::array{}; });
}

TEST(TokenizerJson, RefusesBadMerges) {
  for (const json::value& merge : {json::value("ab"), json::value("a b c"), json::value(" a"), json::value(7), json::value(json::array{"a"}), json::value(json::array{"a", 1})})
    expect_refused("model.merges must hold", [&](json::object&, json::object& model) { model["merges"].as_array().push_back(merge); });
  expect_refused("not in the vocabulary: zqzq", [](json::object&, json::object& model) { model["merges"].as_array().push_back("zqzq a"); });
  expect_refused("model.merges", [](json::object&, json::object& model) { model.erase("merges"); });
}

TEST(TokenizerJson, RefusesBadAddedTokens) {
  expect_refused("must hold objects with id and content", [](json::object& root, json::object&) { root["added_tokens"].as_array().push_back("x"); });
  expect_refused("has no content", [](json::object& root, json::object&) { root["added_tokens"].as_array().push_back(added(3000, "", "special")); });
  expect_refused("another id in model.vocab: <|im_end|>", [](json::object& root, json::object&) { root["added_tokens"].as_array().push_back(added(3000, "<|im_end|>", "special")); });
  expect_refused("same id or content", [](json::object& root, json::object&) { root["added_tokens"].as_array().push_back(added(2047, "[X]", "special")); });
  expect_refused("another id in model.vocab", [](json::object& root, json::object&) { root["added_tokens"].as_array().push_back(added(3000, "a", "special")); });
  expect_refused("lstrip must be true or false", [](json::object& root, json::object&) {
    root["added_tokens"].as_array().push_back(json::object{{"id", 3000}, {"content", "x"}, {"lstrip", "yes"}});
  });
}

}  // namespace
}  // namespace flexpert::engine
