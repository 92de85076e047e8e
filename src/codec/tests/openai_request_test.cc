#include "codec/openai_request.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

std::string chat_with(std::string_view fields) {
  return fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"hi"}}],{}}})", fields);
}

TEST(ChatCompletionRequest, ReadsEveryField) {
  const auto request = parse_chat_completion_request(R"({"model":"m","messages":[{"role":"developer","content":"be brief"},
    {"role":"user","content":[{"type":"text","text":"hel"},{"type":"text","text":"lo"}]},{"role":"assistant","content":null}],
    "temperature":0.5,"top_p":0.25,"top_k":7,"max_tokens":9,"n":1,"stop":["a","bc"],"seed":-1,"stream":true,
    "stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":3,"user":"u","ignore_eos":true,
    "presence_penalty":0,"tools":[],"something_new":{"a":[1,2]}})");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->messages.size(), 3U);
  EXPECT_EQ(request->messages[0].role, "system");
  EXPECT_EQ(request->messages[1].content, "hello");
  EXPECT_EQ(request->messages[2].content, "");
  const GenerationSettings& settings = request->settings;
  EXPECT_EQ(settings.model, "m");
  EXPECT_EQ(settings.temperature, 0.5F);
  EXPECT_EQ(settings.top_p, 0.25F);
  EXPECT_EQ(settings.top_k, 7U);
  EXPECT_EQ(settings.max_tokens, 9U);
  EXPECT_EQ(settings.seed, 0xFFFFFFFFFFFFFFFFU);
  EXPECT_EQ(settings.stop, (std::vector<std::string>{"a", "bc"}));
  EXPECT_EQ(settings.top_logprobs, 3U);
  EXPECT_TRUE(settings.stream && settings.include_usage && settings.ignore_eos);
  EXPECT_EQ(settings.user, "u");
}

TEST(ChatCompletionRequest, LeavesAbsentAndNullFieldsUnset) {
  const auto request = parse_chat_completion_request(
      chat_with(R"("temperature":null,"stop":null,"max_tokens":null,"stream":null,"logprobs":false,"seed":null,"stream_options":null)"));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_FALSE(request->settings.temperature || request->settings.max_tokens || request->settings.seed || request->settings.top_logprobs);
  EXPECT_TRUE(request->settings.stop.empty());
  EXPECT_FALSE(request->settings.stream);
}

struct Refusal {
  std::string fields;
  std::string param;
  std::string part_of_message;
};

class RefusedChatField : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedChatField, NamesTheParameter) {
  const auto request = parse_chat_completion_request(chat_with(GetParam().fields));
  ASSERT_FALSE(request) << GetParam().fields;
  EXPECT_EQ(request.error().status, 400);
  EXPECT_EQ(request.error().type, "invalid_request_error");
  EXPECT_EQ(request.error().param, GetParam().param);
  EXPECT_NE(request.error().message.find(GetParam().part_of_message), std::string::npos) << request.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedChatField,
    testing::Values(Refusal{R"("temperature":2.1)", "temperature", "at most 2"}, Refusal{R"("temperature":-0.1)", "temperature", "at least 0"},
                    Refusal{R"("temperature":"hot")", "temperature", "expected a number, but got string"},
                    Refusal{R"("top_p":0)", "top_p", "greater than 0"}, Refusal{R"("top_p":1.5)", "top_p", "at most 1"},
                    Refusal{R"("top_k":-2)", "top_k", "at least -1"}, Refusal{R"("max_tokens":0)", "max_tokens", "at least 1"},
                    Refusal{R"("max_tokens":1.5)", "max_tokens", "expected an integer"},
                    Refusal{R"("max_tokens":99999999999999999999999)", "", "Invalid JSON"},
                    Refusal{R"("max_tokens":18446744073709551615)", "max_tokens", "at most"},
                    Refusal{R"("max_tokens":4,"max_completion_tokens":5)", "max_tokens", "different values"},
                    Refusal{R"("n":2)", "n", "only 1"}, Refusal{R"("stop":["a","b","c","d","e"])", "stop", "at most 4"},
                    Refusal{R"("stop":[1])", "stop[0]", "expected a string"}, Refusal{R"("stop":"")", "stop", "must not be empty"},
                    Refusal{R"("seed":1.5)", "seed", "expected an integer"}, Refusal{R"("stream":"yes")", "stream", "expected a boolean"},
                    Refusal{R"("stream_options":{"include_usage":true})", "stream_options", "only allowed when"},
                    Refusal{R"("stream":true,"stream_options":{"include_usage":1})", "stream_options.include_usage", "boolean"},
                    Refusal{R"("logprobs":3)", "logprobs", "expected a boolean"}, Refusal{R"("top_logprobs":3)", "top_logprobs", "logprobs"},
                    Refusal{R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "at most 20"},
                    Refusal{R"("presence_penalty":0.5)", "presence_penalty", "only 0"},
                    Refusal{R"("logit_bias":{"5":1})", "logit_bias", "not supported"},
                    Refusal{R"("response_format":{"type":"json_object"})", "response_format.type", "only 'text'"},
                    Refusal{R"("model":"other")", "model", "given twice"}, Refusal{R"("seed":1,"seed":2)", "seed", "given twice"},
                    Refusal{R"("user":5)", "user", "expected a string"}));

TEST(ChatCompletionRequest, NamesTheMessageAtFault) {
  const auto param_of = [](std::string_view messages) {
    const auto request = parse_chat_completion_request(fmt::format(R"({{"model":"m","messages":{}}})", messages));
    return request ? std::string("accepted") : request.error().param;
  };
  EXPECT_EQ(param_of("[]"), "messages");
  EXPECT_EQ(param_of("5"), "messages");
  EXPECT_EQ(param_of(R"(["hi"])"), "messages[0]");
  EXPECT_EQ(param_of(R"([{"content":"hi"}])"), "messages[0].role");
  EXPECT_EQ(param_of(R"([{"role":"user"}])"), "messages[0].content");
  EXPECT_EQ(param_of(R"([{"role":"user","content":"a"},{"role":"user","content":7}])"), "messages[1].content");
  EXPECT_EQ(param_of(R"([{"role":"user","content":[{"type":"image_url","image_url":"x"}]}])"), "messages[0].content[0].type");
  EXPECT_EQ(param_of(R"([{"role":"user","content":[{"type":"text"}]}])"), "messages[0].content[0].text");
  EXPECT_EQ(param_of(R"([{"role":"user","role":"system","content":"a"}])"), "messages[0].role");
}

TEST(ChatCompletionRequest, NeedsModelAndMessages) {
  EXPECT_EQ(parse_chat_completion_request(R"({"messages":[{"role":"user","content":"a"}]})").error().param, "model");
  EXPECT_EQ(parse_chat_completion_request(R"({"model":"m"})").error().param, "messages");
}

TEST(ChatCompletionRequest, ChecksEveryByteOfTheDocument) {
  const std::string good = chat_with(R"("seed":1)");
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(parse_chat_completion_request(good.substr(0, length))) << "a prefix of " << length << " bytes was accepted";
  EXPECT_FALSE(parse_chat_completion_request(good + "x"));
  EXPECT_FALSE(parse_chat_completion_request(good + good));
  EXPECT_FALSE(parse_chat_completion_request(chat_with(R"("ignored":[1,})")));
  EXPECT_FALSE(parse_chat_completion_request(chat_with(R"("ignored":tru)")));
  EXPECT_FALSE(parse_chat_completion_request(chat_with("\"ignored\":\"\xff\"")));
  EXPECT_FALSE(parse_chat_completion_request(chat_with("\"ignored\":\"\n\"")));
  EXPECT_FALSE(parse_chat_completion_request("[]"));
  EXPECT_EQ(parse_chat_completion_request("{nope").error().code, "invalid_json");
}

TEST(ChatCompletionRequest, BoundsNesting) {
  const auto nested = [](std::size_t levels) {
    return chat_with(fmt::format(R"("ignored":{}1{})", std::string(levels, '['), std::string(levels, ']')));
  };
  EXPECT_TRUE(parse_chat_completion_request(nested(kMaxRequestDepth - 1)));  // the object around it is the first level
  const auto deeper = parse_chat_completion_request(nested(kMaxRequestDepth));
  ASSERT_FALSE(deeper);
  EXPECT_NE(deeper.error().message.find("nested deeper than 64"), std::string::npos);
  EXPECT_FALSE(parse_chat_completion_request(nested(100000)));
}

TEST(CompletionRequest, ReadsTextAndTokens) {
  const auto text = parse_completion_request(R"({"model":"m","prompt":"once","logprobs":2,"echo":false,"best_of":1,"suffix":null})");
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(std::get<std::string>(text->prompt), "once");
  EXPECT_EQ(text->settings.top_logprobs, 2U);
  const auto tokens = parse_completion_request(R"({"model":"m","prompt":[5,0,2047]})");
  ASSERT_TRUE(tokens) << tokens.error().message;
  EXPECT_EQ(std::get<1>(tokens->prompt), (std::vector<std::int32_t>{5, 0, 2047}));

  const auto list = parse_completion_request(R"({"model":"m","prompt":["once"]})");
  ASSERT_TRUE(list);
  EXPECT_EQ(std::get<std::string>(list->prompt), "once");
  const auto token_list = parse_completion_request(R"({"model":"m","prompt":[[5,7]]})");
  ASSERT_TRUE(token_list);
  EXPECT_EQ(std::get<1>(token_list->prompt), (std::vector<std::int32_t>{5, 7}));
}

TEST(CompletionRequest, RefusesPromptsItCannotRun) {
  const auto param_of = [](std::string_view prompt) {
    const auto request = parse_completion_request(fmt::format(R"({{"model":"m","prompt":{}}})", prompt));
    return request ? std::string("accepted") : request.error().param;
  };
  EXPECT_EQ(param_of("\"\""), "prompt");
  EXPECT_EQ(param_of("[]"), "prompt");
  EXPECT_EQ(param_of(R"(["a","b"])"), "prompt");
  EXPECT_EQ(param_of(R"([[1],[2]])"), "prompt");
  EXPECT_EQ(param_of(R"([5,"b"])"), "prompt");
  EXPECT_EQ(param_of(R"([["a"]])"), "prompt[0]");
  EXPECT_EQ(param_of(R"([[[5]]])"), "prompt[0]");
  EXPECT_EQ(param_of(R"([[]])"), "prompt");
  EXPECT_EQ(param_of("[1,-1]"), "prompt[1]");
  EXPECT_EQ(param_of("[1.5]"), "prompt[0]");
  EXPECT_EQ(param_of("[2147483648]"), "prompt[0]");
  EXPECT_EQ(parse_completion_request(R"({"model":"m"})").error().param, "prompt");
  EXPECT_EQ(parse_completion_request(R"({"model":"m","prompt":"a","echo":true})").error().param, "echo");
  EXPECT_EQ(parse_completion_request(R"({"model":"m","prompt":"a","logprobs":6})").error().param, "logprobs");
}

TEST(OpenAiRequest, RefusesToolsButNotTheirAbsence) {
  const auto param_of = [](std::string_view field) {
    const auto request = parse_chat_completion_request(fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"x"}}],{}}})", field));
    return request ? "" : request.error().param;
  };
  EXPECT_EQ(param_of(R"("tools":[],"tool_choice":"auto")"), "");
  EXPECT_EQ(param_of(R"("tools":null,"tool_choice":"none","function_call":"none")"), "");
  EXPECT_EQ(param_of(R"("tools":[{"type":"function","function":{"name":"f"}}])"), "tools");
  EXPECT_EQ(param_of(R"("tools":{})"), "tools");
  EXPECT_EQ(param_of(R"("functions":[{"name":"f"}])"), "functions");
  EXPECT_EQ(param_of(R"("tool_choice":"required")"), "tool_choice");
}

}  // namespace
}  // namespace flexpert::codec
