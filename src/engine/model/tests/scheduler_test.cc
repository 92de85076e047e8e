#include "engine/model/scheduler.h"

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

/// A tokenizer without tokens: the scheduler never asks it.
class NoTokens final : public Tokenizer {
 public:
  [[nodiscard]] std::vector<TokenId> encode(std::string_view) const override { return {}; }
  [[nodiscard]] std::string_view bytes_of(TokenId) const override { return {}; }
  [[nodiscard]] bool is_special(TokenId) const override { return false; }
  [[nodiscard]] TokenId id_of_added(std::string_view) const override { return -1; }
  [[nodiscard]] std::size_t size() const override { return 0; }
};

class SchedulerTest : public testing::Test {
 protected:
  void add(const std::string& id, std::uint32_t prompt, std::uint32_t max_tokens) {
    GenerationRequest request;
    request.id = id;
    request.prompt.assign(prompt, 1);
    request.max_tokens = max_tokens;
    scheduler_.enqueue(std::make_unique<Sequence>(std::move(request), nullptr, tokenizer_, TimePoint{}));
  }
  /// Plans, and does as if the step had been computed; returns "id:tokens ...".
  std::string step() {
    scheduler_.admit();
    std::string text;
    for (const Scheduler::Work& work : scheduler_.plan()) {
      text += work.sequence->request.id + ":" + std::to_string(work.tokens) + " ";
      work.sequence->computed += work.tokens;
      if (work.sequence->left() == 0) work.sequence->tokens.push_back(2);
    }
    return text;
  }

  NoTokens tokenizer_;
  KvCache cache_{1, 10, 4, 1, 8};
  Scheduler scheduler_{3, 8, cache_};
};

TEST_F(SchedulerTest, DecodesFirstAndFillsTheStepWithChunksOfPrompts) {
  add("a", 3, 4);
  add("b", 11, 1);
  EXPECT_EQ(step(), "a:3 b:5 ");
  EXPECT_EQ(step(), "a:1 b:6 ");
  EXPECT_EQ(step(), "a:1 b:1 ");
}

TEST_F(SchedulerTest, GivesUpWhatWaitsBeyondItsDeadlineAndNothingElse) {
  GenerationRequest request;
  request.prompt.assign(4, 1);
  request.max_tokens = 4;
  for (const auto& [id, second] : {std::pair("late", 5), std::pair("in time", 6)}) {
    request.id = id;
    request.deadline = TimePoint{} + Seconds(second);
    scheduler_.enqueue(std::make_unique<Sequence>(request, nullptr, tokenizer_, TimePoint{}));
  }
  const auto late = scheduler_.take_late(TimePoint{} + Seconds(5));
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0]->request.id, "late");
  EXPECT_EQ(scheduler_.waiting(), 1U);
  step();
  EXPECT_TRUE(scheduler_.take_late(TimePoint{} + Seconds(60)).empty()) << "what has begun goes on";
}

TEST_F(SchedulerTest, AdmitsInOrderAsFarAsBlocksAndPlacesGo) {
  add("a", 20, 4);   // 6 blocks
  add("b", 16, 4);   // 5 blocks: must wait for a
  add("c", 1, 1);    // 1 block, but it does not overtake
  EXPECT_EQ(step(), "a:8 ");
  EXPECT_EQ(scheduler_.waiting(), 2U);
  EXPECT_EQ(cache_.used(), 6U);
  EXPECT_EQ(scheduler_.take("a").size(), 1U);
  EXPECT_EQ(step(), "c:1 b:7 ");
  EXPECT_EQ(cache_.used(), 6U);
}

TEST_F(SchedulerTest, HoldsAtMostMaxBatchSequences) {
  for (const char* id : {"a", "b", "c", "d"}) add(id, 2, 1);
  EXPECT_EQ(step(), "a:2 b:2 c:2 ");
  EXPECT_EQ(scheduler_.running(), 3U);
  EXPECT_EQ(scheduler_.take("b").size(), 1U);
  EXPECT_EQ(step(), "a:1 c:1 d:2 ");
}

TEST_F(SchedulerTest, GivesBackEveryBlock) {
  for (const char* id : {"a", "b", "c", "d"}) add(id, 5, 3);
  step();
  EXPECT_EQ(scheduler_.take("d").size(), 1U);
  EXPECT_EQ(scheduler_.take("nobody").size(), 0U);
  EXPECT_EQ(scheduler_.take_all().size(), 3U);
  EXPECT_EQ(cache_.used(), 0U);
  EXPECT_TRUE(scheduler_.idle());
}

}  // namespace
}  // namespace flexpert::engine
