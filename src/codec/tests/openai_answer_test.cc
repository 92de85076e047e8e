#include "codec/openai_answer.h"

#include <limits>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "codec/json_text.h"

namespace flexpert::codec {
namespace {

namespace json = boost::json;

AnswerHead head(ApiForm form) {
  return {.form = form, .id = "chatcmpl-1", .created = 1700000000, .model = "mo\"del", .system_fingerprint = "fp_ab"};
}

json::value event(const std::string& text) {
  EXPECT_EQ(text.substr(0, 6), "data: ");
  EXPECT_EQ(text.substr(text.size() - 2), "\n\n");
  const std::string body = text.substr(6, text.size() - 8);
  EXPECT_EQ(body.find('\n'), std::string::npos);
  return json::parse(body);
}

const std::vector<ApiTokenLogprob> kLogprobs = {
    {.token = "h\xc3\xa9", .logprob = -0.5F, .top = {{"h\xc3\xa9", -0.5F}, {"\xe2\x80", -1.25F}}},
    {.token = "y", .logprob = -std::numeric_limits<float>::infinity(), .top = {}}};

TEST(AnswerWriter, WritesAWholeChatAnswer) {
  const json::value answer = json::parse(AnswerWriter(head(ApiForm::kChat)).whole("hi\n\"you\"", "stop", {}, {3, 4}));
  EXPECT_EQ(answer.at("id"), "chatcmpl-1");
  EXPECT_EQ(answer.at("object"), "chat.completion");
  EXPECT_EQ(answer.at("created"), 1700000000);
  EXPECT_EQ(answer.at("model"), "mo\"del");
  const json::value& choice = answer.at("choices").at(0);
  EXPECT_EQ(choice.at("message").at("role"), "assistant");
  EXPECT_EQ(choice.at("message").at("content"), "hi\n\"you\"");
  EXPECT_EQ(choice.at("finish_reason"), "stop");
  EXPECT_TRUE(choice.at("logprobs").is_null());
  EXPECT_EQ(answer.at("usage").at("total_tokens"), 7);
}

TEST(AnswerWriter, WritesChatLogprobs) {
  const json::value answer = json::parse(AnswerWriter(head(ApiForm::kChat), false, true).whole("x", "length", kLogprobs, {}));
  const json::value& content = answer.at("choices").at(0).at("logprobs").at("content");
  EXPECT_EQ(content.at(0).at("token"), "h\xc3\xa9");
  EXPECT_EQ(content.at(0).at("bytes"), json::parse("[104,195,169]"));
  EXPECT_EQ(content.at(0).at("top_logprobs").at(1).at("token"), "bytes:\\xe2\\x80");
  EXPECT_EQ(content.at(0).at("top_logprobs").at(1).at("logprob").as_double(), -1.25);
  EXPECT_EQ(content.at(1).at("logprob").to_number<double>(), -9999.0);
}

TEST(AnswerWriter, WritesTextLogprobsWithOffsetsOverChunks) {
  AnswerWriter writer(head(ApiForm::kText), false, true);
  const json::value first = event(writer.delta_event("h\xc3\xa9y", kLogprobs));
  const json::value& logprobs = first.at("choices").at(0).at("logprobs");
  EXPECT_EQ(first.at("object"), "text_completion");
  EXPECT_EQ(logprobs.at("tokens"), json::parse("[\"h\xc3\xa9\",\"y\"]"));
  EXPECT_EQ(logprobs.at("text_offset"), json::parse("[0,2]"));
  EXPECT_EQ(logprobs.at("top_logprobs").at(0).at("h\xc3\xa9").as_double(), -0.5);
  const json::value second = event(writer.delta_event("h\xc3\xa9y", kLogprobs));
  EXPECT_EQ(second.at("choices").at(0).at("logprobs").at("text_offset"), json::parse("[3,5]"));
}

TEST(AnswerWriter, WritesTheChunksOfAChatStream) {
  AnswerWriter writer(head(ApiForm::kChat), true);
  const json::value role = event(writer.role_event());
  EXPECT_EQ(role.at("object"), "chat.completion.chunk");
  EXPECT_EQ(role.at("choices").at(0).at("delta"), json::parse(R"({"role":"assistant","content":""})"));
  EXPECT_TRUE(role.at("usage").is_null());
  const json::value delta = event(writer.delta_event("a\tb", {}));
  EXPECT_EQ(delta.at("choices").at(0).at("delta"), json::parse(R"({"content":"a\tb"})"));
  EXPECT_TRUE(delta.at("choices").at(0).at("finish_reason").is_null());
  const json::value finish = event(writer.finish_event("length"));
  EXPECT_EQ(finish.at("choices").at(0).at("delta"), json::parse("{}"));
  EXPECT_EQ(finish.at("choices").at(0).at("finish_reason"), "length");
  const json::value usage = event(writer.usage_event({5, 6}));
  EXPECT_EQ(usage.at("choices"), json::parse("[]"));
  EXPECT_EQ(usage.at("usage"), json::parse(R"({"prompt_tokens":5,"completion_tokens":6,"total_tokens":11})"));
}

TEST(AnswerWriter, LeavesUsageOutOfChunksUnlessAsked) {
  AnswerWriter writer(head(ApiForm::kChat));
  EXPECT_FALSE(event(writer.role_event()).as_object().contains("usage"));
  EXPECT_FALSE(event(writer.delta_event("a", {})).as_object().contains("usage"));
}

TEST(ApiErrorText, HasOpenAisShape) {
  const json::value error = json::parse(encode(ApiError{.status = 404, .message = "no", .param = "model", .code = "model_not_found"}));
  EXPECT_EQ(error, json::parse(R"({"error":{"message":"no","type":"invalid_request_error","param":"model","code":"model_not_found"}})"));
  EXPECT_TRUE(json::parse(encode(ApiError{.message = "no"})).at("error").at("param").is_null());
}

TEST(ModelsText, ListsTheModels) {
  const std::vector<ModelCard> cards = {{.id = "a", .created = 5, .max_context = 1024}, {.id = "b"}};
  const json::value list = json::parse(encode_models(cards));
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("data").at(0), json::parse(R"({"id":"a","object":"model","created":5,"owned_by":"flexpert","max_model_len":1024})"));
  EXPECT_EQ(list.at("data").at(1).at("id"), "b");
}

TEST(JsonText, IsValidWhateverTheBytes) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string bytes = {static_cast<char>(first), static_cast<char>(second), '\x80', 'a'};
      std::string out;
      append_json_string(out, bytes);
      boost::system::error_code error;
      const json::value value = json::parse(out, error);
      ASSERT_FALSE(error) << first << ' ' << second;
      if (is_valid_utf8(bytes)) EXPECT_EQ(std::string_view(value.as_string()), bytes);
      else EXPECT_NE(std::string_view(value.as_string()).find("\xEF\xBF\xBD"), std::string_view::npos);
    }
  }
}

TEST(JsonText, RefusesSurrogatesAndOverlongForms) {
  EXPECT_TRUE(is_valid_utf8("\xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_valid_utf8("\xed\xa0\x80"));
  EXPECT_FALSE(is_valid_utf8("\xc0\xaf"));
  EXPECT_FALSE(is_valid_utf8("\xe0\x80\x80"));
  EXPECT_FALSE(is_valid_utf8("\xf4\x90\x80\x80"));
  EXPECT_FALSE(is_valid_utf8("\xf0\x9f\x98"));
}

}  // namespace
}  // namespace flexpert::codec
