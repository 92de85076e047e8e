#include "engine/serve/tests/http_front_fixture.h"

#include <array>

namespace flexpert::engine {
namespace {

namespace json = boost::json;

TEST_F(HttpFrontTest, AnswersAChat) {
  auto waiting = call_async(address_, "POST", "/v1/chat/completions", chat(R"("seed":7,"temperature":0.5,"top_p":0.9,"top_k":3,"max_tokens":20,"stop":"x")"));
  const auto request = engine_.wait_for_request(1);
  ASSERT_TRUE(request.sink);
  EXPECT_EQ(request.request.prompt, tokenizer_->encode("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_EQ(request.request.sampling.seed, 7U);
  EXPECT_EQ(request.request.sampling.temperature, 0.5F);
  EXPECT_EQ(request.request.sampling.top_k, 3U);
  EXPECT_EQ(request.request.max_tokens, 20U);
  EXPECT_EQ(request.request.stop, std::vector<std::string>{"x"});
  say(request, "Hel");
  say(request, "lo");
  end(request, FinishReason::kLength, "!");
  const Answer answer = waiting.get();
  EXPECT_EQ(answer.status, 200);
  const json::value body = answer.json();
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content"), "Hello!");
  EXPECT_EQ(body.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(body.at("usage"), json::parse(R"({"prompt_tokens":9,"completion_tokens":2,"total_tokens":11})"));
  EXPECT_EQ(body.at("id"), json::string(request.request.id));
  EXPECT_TRUE(request.request.id.starts_with("chatcmpl-"));
  EXPECT_EQ(body.at("model"), "tiny");
  EXPECT_NEAR(body.at("created").to_number<double>(), static_cast<double>(clock_.unix_ms()) / 1000, 60);
}

TEST_F(HttpFrontTest, StreamsTokensAsTheyCome) {
  StreamClient client(address_, "/v1/chat/completions", chat(R"("stream":true,"stream_options":{"include_usage":true})"));
  auto engine_side = std::async(std::launch::async, [&] { return engine_.wait_for_request(1); });
  ASSERT_TRUE(client.wait([&] { return engine_side.wait_for(Seconds(0)) == std::future_status::ready; }));
  const auto request = engine_side.get();
  ASSERT_TRUE(request.sink);
  EXPECT_TRUE(client.body().empty()) << "the head goes out with the first token";
  say(request, "Hel");
  ASSERT_TRUE(client.wait_for_text("Hel"));
  EXPECT_EQ(client.status(), 200);
  EXPECT_FALSE(client.ended());
  say(request, "");
  say(request, "lo");
  ASSERT_TRUE(client.wait_for_text("lo"));
  end(request, FinishReason::kStop, "!");
  ASSERT_TRUE(client.wait_for_end());
  EXPECT_FALSE(client.error());

  const Answer answer{.status = 200, .headers = {}, .body = client.body()};
  EXPECT_TRUE(answer.body.ends_with("data: [DONE]\n\n"));
  const auto events = answer.events();
  ASSERT_EQ(events.size(), 6U) << answer.body;
  EXPECT_EQ(events[0].at("choices").at(0).at("delta"), json::parse(R"({"role":"assistant","content":""})"));
  std::string text;
  for (std::size_t i = 1; i < 4; ++i) text += events[i].at("choices").at(0).at("delta").at("content").get_string();
  EXPECT_EQ(text, "Hello!");
  EXPECT_EQ(events[4].at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(events[5].at("usage").at("total_tokens"), 11);
  EXPECT_TRUE(events[5].at("choices").get_array().empty());
}

TEST_F(HttpFrontTest, TellsTheTokensOfPromptsAndChats) {
  const auto tokens_of = [&](const std::string& body) {
    const Answer answer = post("/tokenize", body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    std::vector<TokenId> tokens;
    const json::value told = answer.json();
    for (const json::value& token : told.at("tokens").as_array()) tokens.push_back(token.to_number<TokenId>());
    EXPECT_EQ(told.at("count").to_number<std::size_t>(), tokens.size());
    return tokens;
  };
  EXPECT_EQ(tokens_of(R"({"model":"tiny","prompt":"hello world"})"), tokenizer_->encode("hello world"));
  EXPECT_EQ(tokens_of(R"({"model":"tiny","messages":[{"role":"user","content":"hi"}]})"), tokenizer_->encode("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_EQ(post("/tokenize", R"({"model":"other","prompt":"x"})").error("code"), "model_not_found");
  EXPECT_EQ(post("/tokenize", R"({"model":"tiny"})").error("param"), "prompt");
  EXPECT_EQ(post("/tokenize", R"({"model":"tiny","messages":[{"role":"user"}]})").error("param"), "messages[0].content");
}

TEST_F(HttpFrontTest, AnswersATextCompletionFromTokens) {
  auto waiting = call_async(address_, "POST", "/v1/completions", R"({"model":"tiny","prompt":[5,6,7],"logprobs":1})");
  const auto request = engine_.wait_for_request(1);
  ASSERT_TRUE(request.sink);
  EXPECT_EQ(request.request.prompt, (std::vector<TokenId>{5, 6, 7}));
  EXPECT_EQ(request.request.max_tokens, 16U);
  EXPECT_EQ(request.request.sampling.top_logprobs, 1U);
  const TokenId a = tokenizer_->encode("a")[0];
  const TokenId b = tokenizer_->encode("b")[0];
  request.sink->on_token({.token = a, .text = "a", .logprob = -0.25F, .top = {{a, -0.25F}, {b, -2.0F}}});
  request.sink->on_token({.token = 2047, .text = "", .logprob = -0.5F, .top = {}});
  end(request);
  const json::value body = waiting.get().json();
  EXPECT_EQ(body.at("object"), "text_completion");
  const json::value& choice = body.at("choices").at(0);
  EXPECT_EQ(choice.at("text"), "a");
  EXPECT_EQ(choice.at("logprobs").at("tokens"), json::parse(R"(["a"])")) << "the end token is not part of the answer";
  EXPECT_EQ(choice.at("logprobs").at("top_logprobs").at(0).at("b").to_number<double>(), -2.0);
  EXPECT_TRUE(std::string(body.at("id").get_string()).starts_with("cmpl-"));
}

TEST_F(HttpFrontTest, CancelsWhenAStreamingClientGoesAway) {
  auto client = std::make_unique<StreamClient>(address_, "/v1/chat/completions", chat(R"("stream":true)"));
  auto engine_side = std::async(std::launch::async, [&] { return engine_.wait_for_request(1); });
  ASSERT_TRUE(client->wait([&] { return engine_side.wait_for(Seconds(0)) == std::future_status::ready; }));
  const auto request = engine_side.get();
  ASSERT_TRUE(request.sink);
  say(request, "word");
  ASSERT_TRUE(client->wait_for_text("word"));
  client->go_away();
  EXPECT_TRUE(engine_.wait_for_cancel(request.request.id));
  say(request, "more");  // news of a request that is gone is dropped
  end(request, FinishReason::kCancelled);
  front_->call([] {});
  EXPECT_NE(get("/metrics").body.find(R"(flexpert_http_requests_total{route="/v1/chat/completions",status="499"} 1)"), std::string::npos);
}

TEST_F(HttpFrontTest, CancelsWhenAWaitingClientGoesAway) {
  auto client = std::make_unique<StreamClient>(address_, "/v1/completions", R"({"model":"tiny","prompt":"a"})");
  auto engine_side = std::async(std::launch::async, [&] { return engine_.wait_for_request(1); });
  ASSERT_TRUE(client->wait([&] { return engine_side.wait_for(Seconds(0)) == std::future_status::ready; }));
  const auto request = engine_side.get();
  client->go_away();
  EXPECT_TRUE(engine_.wait_for_cancel(request.request.id));
}

TEST_F(HttpFrontTest, RefusesWithOpenAisErrors) {
  Answer answer = post("/v1/chat/completions", "{nope");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("code"), "invalid_json");

  answer = post("/v1/chat/completions", R"({"model":"other","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.error("code"), "model_not_found");
  EXPECT_EQ(answer.error("param"), "model");

  answer = post("/v1/chat/completions", chat(R"("temperature":9)"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("param"), "temperature");

  answer = post("/v1/chat/completions", R"({"model":"tiny","messages":[{"role":"wizard","content":"hi"}]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("param"), "messages");

  answer = post("/v1/completions", R"({"model":"tiny","prompt":[5,2048]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("param"), "prompt[1]");

  answer = post("/v1/completions", std::string(200000, 'x'));
  EXPECT_EQ(answer.status, 413);

  answer = get("/v2/nothing");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.error("code"), "unknown_url");

  answer = get("/v1/models/other");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.error("code"), "model_not_found");
  EXPECT_EQ(get("/v1/models/tiny").status, 200);

  answer = get("/v1/chat/completions");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.find("Allow"), "POST");
  answer = call(address_, "DELETE", "/internal/routing-table");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.find("Allow"), "GET, PUT");
}

TEST_F(HttpFrontTest, RefusesWhatDoesNotFitAndSaysTheNumbers) {
  // The KV cache holds 8 blocks of 16 tokens, which is less than the model's context.
  Answer answer = post("/v1/completions", R"({"model":"tiny","prompt":[1,2,3],"max_tokens":126})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("code"), "context_length_exceeded");
  EXPECT_NE(answer.error("message").find("maximum context length is 128 tokens"), std::string::npos);
  EXPECT_NE(answer.error("message").find("3 tokens in the prompt and 126 in the completion"), std::string::npos);

  std::string many;
  for (int i = 0; i < 128; ++i) many += i == 0 ? "1" : ",1";
  answer = post("/v1/completions", fmt::format(R"({{"model":"tiny","prompt":[{}]}})", many));
  EXPECT_EQ(answer.error("code"), "context_length_exceeded");

  answer = post("/v1/completions", fmt::format(R"({{"model":"tiny","prompt":"{}"}})", std::string(90000, 'x')));
  EXPECT_EQ(answer.error("code"), "context_length_exceeded");
}

TEST_F(HttpFrontTest, GivesAChatTheRestOfTheContextByDefault) {
  auto waiting = call_async(address_, "POST", "/v1/chat/completions", chat());
  const auto request = engine_.wait_for_request(1);
  ASSERT_TRUE(request.sink);
  EXPECT_EQ(request.request.max_tokens + request.request.prompt.size(), 128U);
  end(request);
  waiting.wait();
}

TEST_F(HttpFrontTest, TellsAFullQueueToComeBack) {
  engine_.refuse_with = Error{ErrorCode::kResourceExhausted, "the queue is full: 1024 requests wait"};
  const Answer answer = post("/v1/chat/completions", chat());
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.headers.find("Retry-After"), "1");
  EXPECT_EQ(answer.error("code"), "queue_full");
}

TEST_F(HttpFrontTest, ReportsAnEngineFailureBeforeAndAfterTheFirstToken) {
  auto waiting = call_async(address_, "POST", "/v1/chat/completions", chat(R"("stream":true)"));
  auto request = engine_.wait_for_request(1);
  ASSERT_TRUE(request.sink);
  request.sink->on_finish(FinishReason::kError, "", {}, Error{ErrorCode::kInternal, "it broke"});
  Answer answer = waiting.get();
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.error("message"), "it broke");

  waiting = call_async(address_, "POST", "/v1/chat/completions", chat(R"("stream":true)"));
  request = engine_.wait_for_request(2);
  ASSERT_TRUE(request.sink);
  say(request, "a");
  request.sink->on_finish(FinishReason::kError, "", {}, Error{ErrorCode::kInternal, "it broke"});
  answer = waiting.get();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body.find("[DONE]"), std::string::npos);
  const auto events = answer.events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().at("error").at("message"), "it broke");
}

TEST_F(HttpFrontTest, DrawsADifferentSeedForEachRequest) {
  auto first = call_async(address_, "POST", "/v1/chat/completions", chat(R"("user":"a")"));
  const auto one = engine_.wait_for_request(1);
  auto second = call_async(address_, "POST", "/v1/chat/completions", chat(R"("user":"a")"));
  const auto two = engine_.wait_for_request(2);
  ASSERT_TRUE(one.sink && two.sink);
  EXPECT_NE(one.request.sampling.seed, two.request.sampling.seed);
  EXPECT_NE(one.request.id, two.request.id);
  end(one);
  end(two);
  EXPECT_EQ(first.get().status, 200);
  EXPECT_EQ(second.get().status, 200);
}

}  // namespace
}  // namespace flexpert::engine
