#include "engine/model/engine.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "engine_fixture.h"

namespace flexpert::engine {
namespace {

std::vector<TokenId> golden_prompt(std::size_t index) { return numbers<TokenId>(golden_cases("golden_generate.json")[index].at("prompt_ids")); }

TEST_F(EngineTest, EndsAtAStopStringThatCrossesTokens) {
  start();
  const Heard whole = generate(request("whole", golden_prompt(0), 40));
  const std::string stop = "file is a str";
  const std::size_t at = whole.text.find(stop);
  ASSERT_NE(at, std::string::npos) << whole.text;
  GenerationRequest asked = request("stopped", golden_prompt(0), 40);
  asked.stop = {"never to be seen", stop};
  const Heard heard = generate(std::move(asked));
  EXPECT_EQ(heard.reason, FinishReason::kStop);
  EXPECT_EQ(heard.text, whole.text.substr(0, at));
  EXPECT_LT(heard.tokens.size(), whole.tokens.size());
  EXPECT_EQ(heard.usage.completion_tokens, heard.tokens.size());
}

TEST_F(EngineTest, ShowsWhatItHeldBackWhenTheStopStringDoesNotCome) {
  start();
  const Heard whole = generate(request("whole", golden_prompt(0), 12));
  GenerationRequest asked = request("held", golden_prompt(0), 12);
  asked.stop = {whole.text.substr(whole.text.size() - 2) + "\x01"};
  const Heard heard = generate(std::move(asked));
  EXPECT_EQ(heard.reason, FinishReason::kLength);
  EXPECT_EQ(heard.text, whole.text);
}

TEST_F(EngineTest, CancelsARunningRequestAndKeepsTheOthersGoing) {
  Engine& engine = start();
  Collected cancelled;
  Collected other;
  ASSERT_TRUE(engine.submit(request("other", golden_prompt(1), 30), other.sink()).has_value());
  ASSERT_TRUE(engine.submit(request("x", golden_prompt(0), 900), cancelled.sink([&](std::size_t count) {
                      if (count == 5) engine.cancel("x");
                    })).has_value());
  const Heard heard = cancelled.wait();
  EXPECT_EQ(heard.reason, FinishReason::kCancelled);
  EXPECT_EQ(heard.tokens.size(), 5U) << "it ends before the next step";
  EXPECT_EQ(heard.finishes, 1);
  EXPECT_EQ(other.wait().tokens.size(), 30U);
  engine.cancel("nobody");
  EXPECT_EQ(engine.stats().kv_blocks_used, 0U);
  EXPECT_EQ(engine.stats().running, 0U);
}

TEST_F(EngineTest, RefusesWhatCannotRun) {
  EngineOptions options;
  options.kv_blocks = 10;
  options.max_context = 600;
  Engine& engine = start(options);
  const auto error_of = [&](GenerationRequest asked) {
    Collected collected;
    const auto submitted = engine.submit(std::move(asked), collected.sink());
    return submitted ? Error{} : submitted.error();
  };
  EXPECT_EQ(error_of(request("a", {}, 5)).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of(request("a", {1}, 0)).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of(request("a", {1, 2048}, 5)).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of(request("a", {-1}, 5)).code, ErrorCode::kInvalidArgument);
  const Error too_long = error_of(request("a", {1, 2, 3}, 598));
  EXPECT_EQ(too_long.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(too_long.message.find("600"), std::string::npos) << too_long.message;
  EXPECT_EQ(error_of(request("a", {1}, 4294967295U)).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of(request("a", {1}, 200)).code, ErrorCode::kResourceExhausted) << "13 blocks of 10";
  GenerationRequest bad = request("a", {1}, 5);
  bad.stop = {""};
  EXPECT_EQ(error_of(bad).code, ErrorCode::kInvalidArgument);
  bad = request("a", {1}, 5);
  bad.sampling.top_p = 2;
  EXPECT_EQ(error_of(bad).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(engine.max_context(), 600U);
}

TEST_F(EngineTest, RefusesOptionsThatDoNotFit) {
  const auto refused = [&](EngineOptions options) {
    const auto engine = Engine::start(checkpoint_, tokenizer_, *experts_, options, metrics_, clock_);
    return !engine.has_value() && engine.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused({.threads = 0}));
  EXPECT_TRUE(refused({.kv_blocks = 0}));
  EXPECT_TRUE(refused({.max_batch = 0}));
  EXPECT_TRUE(refused({.max_batch = 32, .max_step_tokens = 31}));
  EXPECT_TRUE(refused({.max_context = 1025}));
}

TEST_F(EngineTest, QueuesUpToItsLimitAndServesInTurn) {
  EngineOptions options;
  options.max_batch = 1;
  options.max_queue = 2;
  Engine& engine = start(options);
  // The engine thread is held at a task, so that nothing leaves the queue meanwhile.
  std::promise<void> go;
  engine.between_steps([&] { go.get_future().wait(); });
  Collected first;
  Collected second;
  Collected third;
  EXPECT_TRUE(engine.submit(request("1", golden_prompt(0), 3), first.sink()).has_value());
  EXPECT_TRUE(engine.submit(request("2", golden_prompt(1), 3), second.sink()).has_value());
  EXPECT_EQ(engine.stats().queued, 2U);
  const auto refused = engine.submit(request("3", golden_prompt(2), 3), third.sink());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  go.set_value();
  EXPECT_EQ(first.wait().tokens.size(), 3U);
  EXPECT_EQ(second.wait().tokens.size(), 3U);
  EXPECT_EQ(engine.stats().queued, 0U);
}

TEST_F(EngineTest, RunsTasksBetweenStepsAndAtOnceWhenIdle) {
  Engine& engine = start();
  std::promise<std::uint64_t> idle;
  engine.between_steps([&] { idle.set_value(experts_->steps()); });
  auto idle_steps = idle.get_future();
  ASSERT_EQ(idle_steps.wait_for(Seconds(60)), std::future_status::ready);
  const std::uint64_t before = idle_steps.get();
  // Asked for while the second token is told, it runs before the third step.
  std::promise<std::uint64_t> busy;
  Collected collected;
  ASSERT_TRUE(engine.submit(request("a", golden_prompt(0), 10), collected.sink([&](std::size_t count) {
                      if (count == 2) engine.between_steps([&] { busy.set_value(experts_->steps()); });
                    })).has_value());
  EXPECT_EQ(collected.wait().tokens.size(), 10U);
  EXPECT_EQ(busy.get_future().get(), before + 2);
}

TEST_F(EngineTest, CancelsWhatIsLeftWhenItStops) {
  Engine& engine = start({.max_batch = 1});
  Collected running;
  Collected waiting;
  std::promise<void> started;
  ASSERT_TRUE(engine.submit(request("a", golden_prompt(0), 900), running.sink([&](std::size_t count) {
                      if (count == 1) started.set_value();
                    })).has_value());
  ASSERT_TRUE(engine.submit(request("b", golden_prompt(1), 900), waiting.sink()).has_value());
  started.get_future().wait();
  engine_.reset();
  EXPECT_EQ(running.wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(waiting.wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(waiting.wait().usage.completion_tokens, 0U);
}

TEST_F(EngineTest, HoldsResultsBackToThePaceAndSaysSo) {
  EngineOptions options;
  options.pace = StepPace{.base_ms = 10, .per_token_us = 1000, .per_kv_token_us = 0};
  start(options);
  const TimePoint begin = clock_.now();
  const std::vector<TokenId> prompt = golden_prompt(0);
  EXPECT_EQ(generate(request("a", prompt, 5)).tokens.size(), 5U);
  // Five steps of 10 ms, one ms a prompt token, and one a decoded token.
  EXPECT_GE(to_ms(clock_.now() - begin), 5 * 10 + static_cast<double>(prompt.size()) + 4);
  EXPECT_NE(metrics_.text().find("flexpert_engine_paced 1"), std::string::npos);
}

TEST_F(EngineTest, CountsWhatItDid) {
  Engine& engine = start();
  const std::vector<TokenId> prompt = golden_prompt(0);
  EXPECT_EQ(generate(request("a", prompt, 7)).tokens.size(), 7U);
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.prompt_tokens, prompt.size());
  EXPECT_EQ(stats.generated_tokens, 7U);
  EXPECT_EQ(stats.steps, 7U);
  EXPECT_EQ(stats.kv_blocks_total, 512U);
  std::uint64_t rows = 0;
  for (const std::uint64_t count : engine.expert_loads()) rows += count;
  EXPECT_EQ(rows, (prompt.size() + 6) * 6 * 4);
  // The gauges of the busiest follow when the engine falls idle: after the task there was such a moment.
  std::promise<void> turn;
  engine.between_steps([&] { turn.set_value(); });
  turn.get_future().wait();
  engine_.reset();
  const std::string text = metrics_.text();
  for (const std::string line : {"flexpert_engine_generated_tokens_total 7", "flexpert_engine_prompt_tokens_total 17",
                                 "flexpert_engine_ttft_seconds_count 1", "flexpert_engine_itl_seconds_count 6",
                                 "flexpert_engine_running 0", "flexpert_engine_queue_depth 0", "flexpert_engine_kv_blocks_used 0",
                                 "flexpert_engine_kv_blocks 512", "flexpert_engine_paced 0", "flexpert_engine_remaining_tokens 0",
                                 "flexpert_engine_request_duration_seconds_count 1"})
    EXPECT_NE(text.find(line + "\n"), std::string::npos) << line << " is not in\n" << text;
  std::size_t busiest = 0;
  for (std::size_t at = text.find("flexpert_engine_busiest_expert_rows{"); at != std::string::npos;
       at = text.find("flexpert_engine_busiest_expert_rows{", at + 1))
    ++busiest;
  EXPECT_EQ(busiest, 20U);
}

TEST_F(EngineTest, ReadsEmbeddings) {
  Engine& engine = start();
  const auto embedding = engine.embedding(101);
  ASSERT_TRUE(embedding.has_value());
  EXPECT_EQ(embedding->size(), 192U);
  EXPECT_EQ(engine.embedding(-1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(engine.embedding(2048).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(EngineTest, StandsRequestsCancelsAndReadersFromManyThreads) {
  Engine& engine = start({.threads = 2, .max_batch = 4});
  std::atomic<bool> done{false};
  auto reader = std::async(std::launch::async, [&] {
    std::uint64_t seen = 0;
    while (!done.load()) {
      seen += engine.stats().running + engine.expert_loads().size() + metrics_.text().size();
      engine.between_steps([] {});
    }
    return seen;
  });
  std::vector<std::future<int>> callers;
  for (int caller = 0; caller < 3; ++caller)
    callers.push_back(std::async(std::launch::async, [&, caller] {
      int finished = 0;
      for (int i = 0; i < 6; ++i) {
        const std::string id = std::to_string(caller) + "-" + std::to_string(i);
        Collected collected;
        if (!engine.submit(request(id, {5, 6, 7}, 12), collected.sink())) continue;
        if (i % 3 == 1) engine.cancel(id);
        finished += collected.wait().finishes;
      }
      return finished;
    }));
  for (auto& caller : callers) EXPECT_EQ(caller.get(), 6);
  done.store(true);
  EXPECT_GT(reader.get(), 0U);
}

}  // namespace
}  // namespace flexpert::engine
