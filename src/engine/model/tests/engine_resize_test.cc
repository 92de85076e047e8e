#include <future>

#include <gtest/gtest.h>

#include "engine_fixture.h"

namespace flexpert::engine {
namespace {

class EngineResizeTest : public EngineTest {
 protected:
  /// Waits for the answer of one resize.
  Result<EngineResources> resize(EngineResources wanted) {
    auto answer = std::make_shared<std::promise<Result<EngineResources>>>();
    auto future = answer->get_future();
    engine_->resize(wanted, [answer](Result<EngineResources> result) { answer->set_value(std::move(result)); });
    if (future.wait_for(Seconds(60)) != std::future_status::ready) return fail(ErrorCode::kDeadlineExceeded, "no answer");
    return future.get();
  }
};

TEST_F(EngineResizeTest, TokensAreTheSameWhileThreadsAndBlocksChange) {
  start({.kv_blocks = 64, .max_kv_blocks = 512});
  const auto still = generate(request("still", {7, 21, 42, 63}, 60));
  Engine& engine = *engine_;
  std::size_t changes = 0;
  Collected moving;
  ASSERT_TRUE(engine.submit(request("moving", {7, 21, 42, 63}, 60), moving.sink([&](std::size_t count) {
                      const EngineResources next{.threads = 1 + static_cast<std::uint32_t>(count % 3), .kv_blocks = count % 2 == 0 ? 512U : 2U};
                      engine.resize(next, [&](Result<EngineResources> result) { changes += result ? 1 : 0; });
                    })).has_value());
  EXPECT_EQ(moving.wait().tokens, still.tokens);
  ASSERT_TRUE(resize({.threads = 1, .kv_blocks = 64}));
  EXPECT_EQ(changes, 60U);
  EXPECT_EQ(engine.stats().kv_blocks_total, 64U);
  EXPECT_EQ(engine.stats().kv_blocks_used, 0U);
}

TEST_F(EngineResizeTest, RefusesWhatDoesNotFit) {
  start({.kv_blocks = 8, .max_kv_blocks = 32});
  EXPECT_EQ(resize({.threads = 0, .kv_blocks = 8}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(resize({.threads = 1, .kv_blocks = 33}).error().message,
            "kv_blocks is out of range: 33; allowed: 1 to 32 (--max-kv-blocks at start)");
  EXPECT_EQ(engine_->stats().kv_blocks_total, 8U);
  const auto wrong = Engine::start(checkpoint_, tokenizer_, *experts_, {.kv_blocks = 8, .max_kv_blocks = 4}, metrics_, clock_);
  EXPECT_FALSE(wrong.has_value());
}

TEST_F(EngineResizeTest, AWaitingRequestIsNotLeftWithoutBlocks) {
  Engine& engine = start({.kv_blocks = 32, .max_batch = 1});
  std::promise<void> go;
  engine.between_steps([&] { go.get_future().wait(); });
  Collected first;
  Collected waiting;
  Collected late;
  ASSERT_TRUE(engine.submit(request("first", {1, 2, 3}, 20), first.sink()));
  ASSERT_TRUE(engine.submit(request("waiting", {1, 2, 3}, 200), waiting.sink()));
  std::promise<Result<EngineResources>> refused;
  engine.resize({.threads = 1, .kv_blocks = 4}, [&](Result<EngineResources> result) { refused.set_value(std::move(result)); });
  go.set_value();
  EXPECT_EQ(refused.get_future().get().error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(waiting.wait().tokens.size(), 200U);
  EXPECT_EQ(first.wait().tokens.size(), 20U);

  // Submitted while the cache was large, taken up when it is small.
  std::promise<void> again;
  engine.between_steps([&] { again.get_future().wait(); });
  engine.resize({.threads = 1, .kv_blocks = 4}, [](const Result<EngineResources>&) {});
  ASSERT_TRUE(engine.submit(request("late", {1, 2, 3}, 200), late.sink()));
  again.set_value();
  const Heard heard = late.wait();
  EXPECT_EQ(heard.reason, FinishReason::kError);
}

}  // namespace
}  // namespace flexpert::engine
