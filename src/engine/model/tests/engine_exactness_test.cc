// What the engine promises above all: the right tokens, whatever runs beside them.
#include <gtest/gtest.h>

#include "engine_fixture.h"

namespace flexpert::engine {
namespace {

using EngineExactness = EngineTest;

TEST_F(EngineExactness, GivesTheGoldenTokensForAll24Prompts) {
  start();
  const auto cases = golden_cases("golden_generate.json");
  ASSERT_EQ(cases.size(), 24U);
  for (const auto& one : cases) {
    const Heard heard = generate(request("golden", numbers<TokenId>(one.at("prompt_ids")), 64));
    EXPECT_EQ(heard.tokens, numbers<TokenId>(one.at("greedy_ids"))) << one.at("prompt").as_string();
    EXPECT_EQ(heard.reason, FinishReason::kLength);
    EXPECT_EQ(heard.usage.completion_tokens, 64U);
  }
}

TEST_F(EngineExactness, GivesTheGoldenAnswersUpToTheEndToken) {
  start();
  std::size_t ended = 0;
  for (const auto& one : golden_cases("golden_generate.json")) {
    GenerationRequest asked = request("golden", numbers<TokenId>(one.at("prompt_ids")), 64);
    asked.ignore_eos = false;
    const Heard heard = generate(std::move(asked));
    EXPECT_EQ(heard.text, std::string(one.at("answer").as_string()));
    const bool ends = !one.at("eos_index").is_null();
    EXPECT_EQ(heard.reason, ends ? FinishReason::kStop : FinishReason::kLength);
    if (!ends) continue;
    ++ended;
    EXPECT_EQ(heard.tokens.size(), one.at("eos_index").to_number<std::size_t>());
    EXPECT_EQ(heard.usage.completion_tokens, heard.tokens.size() + 1);
  }
  EXPECT_GT(ended, 0U);
}

/// Every golden prompt at temperature 0 and at 0.8 with its own seed, logprobs included.
std::vector<GenerationRequest> all_requests(const std::function<GenerationRequest(std::string, std::vector<TokenId>, std::uint32_t)>& make) {
  std::vector<GenerationRequest> requests;
  for (const auto& one : golden_cases("golden_generate.json")) {
    for (const float temperature : {0.0F, 0.8F}) {
      GenerationRequest asked = make(std::to_string(requests.size()), numbers<TokenId>(one.at("prompt_ids")), 24);
      asked.sampling.temperature = temperature;
      asked.sampling.seed = 1000 + requests.size();
      asked.sampling.top_logprobs = 2;
      if (requests.size() % 4 == 1) asked.sampling.top_p = 0.9F;
      if (requests.size() % 4 == 3) asked.sampling.top_k = 40;
      requests.push_back(std::move(asked));
    }
  }
  return requests;
}

TEST_F(EngineExactness, GivesTheSameTokensAndLogprobsAloneInABatchInAnyChunksAndThreads) {
  const std::vector<GenerationRequest> requests = all_requests(request);
  std::vector<Heard> alone;
  start();
  for (const GenerationRequest& asked : requests) alone.push_back(generate(asked));
  EXPECT_NE(alone[1].tokens, alone[0].tokens) << "a temperature of 0.8 should change something";
  const EngineOptions variants[] = {
      {.threads = 1, .max_batch = 16},
      {.threads = 2, .max_batch = 16, .max_step_tokens = 16},
      {.threads = 2, .kv_blocks = 200, .kv_block_tokens = 5, .max_batch = 5, .max_step_tokens = 37},
  };
  for (const EngineOptions& options : variants) {
    engine_.reset();
    start(options);
    std::vector<Collected> collected(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) ASSERT_TRUE(engine_->submit(requests[i], collected[i].sink()).has_value());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const Heard heard = collected[i].wait();
      ASSERT_EQ(heard.tokens, alone[i].tokens) << "request " << i << ", max_batch " << options.max_batch;
      EXPECT_EQ(heard.text, alone[i].text);
      for (std::size_t t = 0; t < heard.news.size(); ++t) {
        EXPECT_EQ(heard.news[t].logprob, alone[i].news[t].logprob);
        ASSERT_EQ(heard.news[t].top.size(), 2U);
        EXPECT_EQ(heard.news[t].top[1].token, alone[i].news[t].top[1].token);
        EXPECT_EQ(heard.news[t].top[1].logprob, alone[i].news[t].top[1].logprob);
      }
    }
  }
}

TEST_F(EngineExactness, RunsOnComputeThreadsHandedIn) {
  ComputePool pool(2);
  start({.pool = &pool});
  const auto golden = golden_cases("golden_generate.json")[0];
  EXPECT_EQ(generate(request("a", numbers<TokenId>(golden.at("prompt_ids")), 64)).tokens, numbers<TokenId>(golden.at("greedy_ids")));
  engine_.reset();
}

}  // namespace
}  // namespace flexpert::engine
