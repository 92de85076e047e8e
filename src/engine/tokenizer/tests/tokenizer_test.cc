#include "engine/tokenizer/tokenizer.h"

#include <fstream>
#include <sstream>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "engine/tokenizer/chat_template.h"

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

}  // namespace
}  // namespace flexpert::engine
