#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "engine_fixture.h"

namespace flexpert::engine {
namespace {

class EngineTurnsTest : public EngineTest {};

TEST_F(EngineTurnsTest, ALongPromptDoesNotHoldUpWhatDecodes) {
  EngineOptions options;
  options.max_batch = 4;
  options.max_step_tokens = 32;
  Engine& engine = start(options);
  std::atomic<std::size_t> decoded = 0;  // tokens of the short request
  std::size_t at_submission = 0;
  std::size_t at_first_token = 0;
  Collected brief;
  Collected lengthy;
  const std::vector<TokenId> long_prompt(600, 17);
  ASSERT_TRUE(engine.submit(request("short", {5, 6, 7}, 120), brief.sink([&](std::size_t count) {
                      decoded = count;
                      if (count != 10) return;
                      at_submission = count;
                      EXPECT_TRUE(engine.submit(request("long", long_prompt, 4), lengthy.sink([&](std::size_t tokens) {
                                                  if (tokens == 1) at_first_token = decoded;
                                                })).has_value());
                    })).has_value());
  EXPECT_EQ(lengthy.wait().tokens.size(), 4U);
  EXPECT_EQ(brief.wait().tokens.size(), 120U);
  // 31 rows of a step are the prompt's: 20 steps, each with a token of the other.
  EXPECT_GE(at_first_token - at_submission, 19U);
  EXPECT_LE(at_first_token - at_submission, 22U);
}

TEST_F(EngineTurnsTest, CancelsWhatStillWaitsAndWhatIsInItsPrompt) {
  EngineOptions options;
  options.max_batch = 2;
  options.max_step_tokens = 16;
  Engine& engine = start(options);
  Collected running, prefilling, waiting, behind;
  std::promise<void> go;
  engine.between_steps([&] { go.get_future().wait(); });
  ASSERT_TRUE(engine.submit(request("running", {5, 6}, 40), running.sink([&](std::size_t count) {
                      // The second is in the middle of its 40 steps of prompt now, the third has no place.
                      if (count != 5) return;
                      engine.cancel("waiting");
                      engine.cancel("prefilling");
                    })).has_value());
  ASSERT_TRUE(engine.submit(request("prefilling", std::vector<TokenId>(600, 9), 5), prefilling.sink()).has_value());
  ASSERT_TRUE(engine.submit(request("waiting", {7, 8}, 5), waiting.sink()).has_value());
  ASSERT_TRUE(engine.submit(request("behind", {7, 9}, 5), behind.sink()).has_value());
  go.set_value();
  for (Collected* cancelled : {&prefilling, &waiting}) {
    const Heard heard = cancelled->wait();
    EXPECT_EQ(heard.reason, FinishReason::kCancelled);
    EXPECT_TRUE(heard.tokens.empty());
    EXPECT_EQ(heard.finishes, 1);
  }
  EXPECT_EQ(behind.wait().tokens.size(), 5U);
  EXPECT_EQ(running.wait().tokens.size(), 40U);
  EXPECT_EQ(engine.stats().kv_blocks_used, 0U);
  EXPECT_EQ(engine.stats().queued, 0U);
}

TEST_F(EngineTurnsTest, ARequestThatNeedsManyBlocksIsNotOvertakenForever) {
  EngineOptions options;
  options.kv_blocks = 20;
  options.kv_block_tokens = 16;
  options.max_batch = 8;
  Engine& engine = start(options);
  Collected small, large;
  std::vector<std::unique_ptr<Collected>> later;
  std::promise<void> go;
  engine.between_steps([&] { go.get_future().wait(); });
  ASSERT_TRUE(engine.submit(request("small", {5, 6}, 30), small.sink()).has_value());
  std::atomic<bool> large_began = false;
  ASSERT_TRUE(engine.submit(request("large", {5, 6}, 300), large.sink([&](std::size_t) { large_began = true; })).has_value());
  std::atomic<int> before_large = 0;
  for (int i = 0; i < 5; ++i) {
    later.push_back(std::make_unique<Collected>());
    ASSERT_TRUE(engine.submit(request("later" + std::to_string(i), {5, 7}, 10), later.back()->sink([&](std::size_t) {
                        if (!large_began) ++before_large;
                      })).has_value());
  }
  go.set_value();
  EXPECT_EQ(large.wait().tokens.size(), 300U);
  for (const auto& one : later) EXPECT_EQ(one->wait().tokens.size(), 10U);
  EXPECT_EQ(before_large, 0) << "first come, first served";
}

}  // namespace
}  // namespace flexpert::engine
