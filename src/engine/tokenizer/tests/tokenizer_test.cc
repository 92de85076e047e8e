#include "engine/tokenizer/tokenizer.h"

#include <chrono>
#include <fstream>
#include <sstream>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "engine/tokenizer/chat_template.h"
#include "engine/tokenizer/utf8.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;
const std::string kModel = std::string(FLEXPERT_SOURCE_DIR) + "/models/flexpert-tiny-moe";

json::value read_json(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str());
}

std::vector<TokenId> ids_of(const json::value& list) { return json::value_to<std::vector<TokenId>>(list); }

std::shared_ptr<const Tokenizer> shipped() {
  auto tokenizer = Tokenizer::open(kModel);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return *tokenizer;
}

TEST(Tokenizer, AgreesWithAllGoldenCases) {
  const auto tokenizer = shipped();
  const json::value golden = read_json(kModel + "/goldens/tokenizer_cases.json");
  const json::array& cases = golden.at("cases").as_array();
  EXPECT_EQ(cases.size(), 60U);
  for (const json::value& one : cases) {
    const std::string text = json::value_to<std::string>(one.at("text"));
    EXPECT_EQ(tokenizer->encode(text), ids_of(one.at("ids"))) << text;
  }
}

TEST(Tokenizer, EncodesTheGoldenPromptsThroughTheChatTemplate) {
  const auto tokenizer = shipped();
  const auto chat = ChatTemplate::open(kModel);
  ASSERT_TRUE(chat) << chat.error().message;
  const json::value golden = read_json(kModel + "/goldens/golden_generate.json");
  const json::array& cases = golden.at("cases").as_array();
  EXPECT_EQ(cases.size(), 24U);
  for (const json::value& one : cases) {
    std::vector<ChatMessage> messages;
    for (const json::value& message : one.at("messages").as_array())
      messages.push_back({json::value_to<std::string>(message.at("role")), json::value_to<std::string>(message.at("content"))});
    const auto prompt = (*chat)->render(messages);
    ASSERT_TRUE(prompt);
    EXPECT_EQ(*prompt, json::value_to<std::string>(one.at("prompt")));
    EXPECT_EQ(tokenizer->encode(*prompt), ids_of(one.at("prompt_ids")));
  }
}

/// Streams tokens through a decoder and checks that no piece is cut inside a character.
std::string stream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) {
    const std::string piece = decoder.push(id);
    EXPECT_EQ(piece, to_valid_utf8(piece));
    text += piece;
  }
  return text + decoder.flush();
}

TEST(Tokenizer, GivesEveryGoldenTextBackThroughStreaming) {
  const auto tokenizer = shipped();
  const json::value golden = read_json(kModel + "/goldens/golden_generate.json");
  for (const json::value& one : golden.at("cases").as_array()) {
    std::string text = json::value_to<std::string>(one.at("greedy_text"));
    for (const std::string_view special : {"<|im_start|>", "<|im_end|>", "<|endoftext|>"})  // these give no text
      for (std::size_t at = text.find(special); at != std::string::npos; at = text.find(special)) text.erase(at, special.size());
    EXPECT_EQ(stream(*tokenizer, ids_of(one.at("greedy_ids"))), text);
  }
}

TEST(Tokenizer, GivesRandomTextBack) {
  const auto tokenizer = shipped();
  Rng rng(7);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (std::uint64_t length = rng.below(40); length > 0; --length) {
      const auto limit = rng.below(3) == 0 ? 0x20000ULL : 0x250ULL;
      const auto point = static_cast<char32_t>(rng.below(limit));
      if (point < 0xD800 || point > 0xDFFF) append_utf8(point, text);
    }
    EXPECT_EQ(stream(*tokenizer, tokenizer->encode(text)), text);
  }
}

TEST(Tokenizer, ReplacesInvalidBytes) {
  const auto tokenizer = shipped();
  EXPECT_EQ(tokenizer->encode("a\xFFz"), tokenizer->encode("a\uFFFDz"));
}

TEST(Tokenizer, TakesALongRunWithoutSpacesInTime) {
  const auto tokenizer = shipped();
  for (const char* unit : {"a", "ab", "th", "=", " ", "\n", "\xC3\xA9", "1"}) {
    std::string text;
    while (text.size() < 200'000) text += unit;
    const auto start = std::chrono::steady_clock::now();
    const auto ids = tokenizer->encode(text);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << unit;
    EXPECT_EQ(stream(*tokenizer, ids), text);
  }
}

TEST(Tokenizer, KnowsItsSpecialTokens) {
  const auto tokenizer = shipped();
  EXPECT_EQ(tokenizer->size(), 2048U);
  EXPECT_EQ(tokenizer->id_of_added("<|im_end|>"), 2047);
  EXPECT_EQ(tokenizer->id_of_added("im_end"), -1);
  EXPECT_TRUE(tokenizer->is_special(2045));
  EXPECT_FALSE(tokenizer->is_special(64));
  EXPECT_EQ(tokenizer->bytes_of(2046), "<|im_start|>");
  EXPECT_EQ(tokenizer->bytes_of(-1), "");
  EXPECT_EQ(tokenizer->bytes_of(1 << 30), "");
}

TEST(StreamDecoder, HoldsBackUnfinishedCharacters) {
  const auto tokenizer = shipped();
  const std::vector<TokenId> ids = tokenizer->encode("\U0001F600");
  ASSERT_GT(ids.size(), 1U);
  StreamDecoder decoder(*tokenizer);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(decoder.push(ids[i]), "");
  EXPECT_EQ(decoder.push(2047), "");  // a special token gives no text and loses none
  EXPECT_EQ(decoder.push(ids.back()), "\U0001F600");
  EXPECT_EQ(decoder.flush(), "");
}

TEST(StreamDecoder, ShowsInvalidBytesAsReplacementCharacters) {
  const auto tokenizer = shipped();
  const TokenId lead = tokenizer->encode("\U0001F600")[0];
  StreamDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.push(lead), "");
  EXPECT_EQ(decoder.push(64), "\uFFFDa");
  EXPECT_EQ(decoder.push(lead), "");
  EXPECT_EQ(decoder.flush(), "\uFFFD");
  EXPECT_EQ(decoder.push(64), "a");
}

TEST(Tokenizer, NamesAMissingFile) {
  const auto none = Tokenizer::open("/nonexistent-folder");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("/nonexistent-folder/tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::engine
