#include "engine/model/expert_mask.h"

#include <array>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "engine/model/moe_block.h"
#include "engine_fixture.h"

namespace flexpert::engine {
namespace {

ModelConfig three_layers() {
  ModelConfig config;
  config.num_layers = 3;
  config.num_experts = 4;
  config.experts_per_token = 2;
  config.mlp_only_layers = {1};
  return config;
}

TEST(ExpertMask, TellsTheTwoKindsApartInEveryLayerWithExperts) {
  const auto mask = ExpertMask::make(ExpertSet({{0, 1}, {2, 0}, {2, 3}}), three_layers());
  ASSERT_TRUE(mask.has_value()) << mask.error().message;
  const auto list = [](std::span<const std::uint32_t> experts) { return std::vector<std::uint32_t>(experts.begin(), experts.end()); };
  EXPECT_EQ(list((*mask)->forbidden(0)), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(list((*mask)->allowed(0)), (std::vector<std::uint32_t>{0, 2, 3}));
  EXPECT_EQ(list((*mask)->allowed(2)), (std::vector<std::uint32_t>{1, 2}));
  EXPECT_FALSE((*mask)->allows({2, 3}));
  EXPECT_TRUE((*mask)->allows({2, 1}));
}

TEST(ExpertMask, RightsThatLeaveALayerNothingOrFitAnotherModelAreDenied) {
  const auto error_of = [](ExpertSet forbidden) {
    const auto mask = ExpertMask::make(forbidden, three_layers());
    return mask ? std::string() : std::string(name_of(mask.error().code)) + ": " + mask.error().message;
  };
  EXPECT_EQ(error_of(ExpertSet({{2, 0}, {2, 1}, {2, 2}, {2, 3}})), "permission_denied: no expert of layer 2 may be used with these rights");
  for (const ExpertSlot slot : {ExpertSlot{0, 4}, {3, 0}, {1, 0}, {UINT32_MAX, UINT32_MAX}})
    EXPECT_NE(error_of(ExpertSet({slot})).find("permission_denied: the rights name an expert that this model does not have"),
        std::string::npos);
  EXPECT_EQ(error_of({}), "");
}

TEST(ExpertMask, OnlyAllowedExpertsAreChosenWhateverTheProbabilities) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::array<std::uint32_t, 3> allowed{1, 2, 4};
  for (const std::array<float, 5>& p : {std::array<float, 5>{0.9F, 0, 0, 0.1F, 0}, {kNan, kNan, kNan, kNan, kNan}, {1, kNan, 0, 1, kNan},
      {0, 0, 0, 0, 0}}) {
    std::array<ExpertChoice, 4> choices{};
    choose_allowed_experts(p.data(), 5, allowed, 2, false, choices.data());
    EXPECT_TRUE(choices[0].expert == 1 || choices[0].expert == 2 || choices[0].expert == 4);
    EXPECT_TRUE(choices[1].expert == 1 || choices[1].expert == 2 || choices[1].expert == 4);
    choose_allowed_experts(p.data(), 5, allowed, 4, false, choices.data());
    EXPECT_EQ(choices[3].expert, 5U) << "three may be chosen, the fourth is nobody";
    EXPECT_EQ(choices[3].weight, 0);
  }
}

TEST(ExpertMask, WeightsOfFewerExpertsSumToOne) {
  const std::array<float, 4> p{0.125F, 0, 0, 0.375F};
  const std::array<std::uint32_t, 2> allowed{0, 3};
  std::array<ExpertChoice, 3> choices{};
  choose_allowed_experts(p.data(), 4, allowed, 3, true, choices.data());
  EXPECT_EQ(choices[0].expert, 3U);
  EXPECT_FLOAT_EQ(choices[0].weight, 0.75F);
  EXPECT_FLOAT_EQ(choices[1].weight, 0.25F);
}

TEST(ExpertMaskDeathTest, AForbiddenExpertEndsTheProcessWhereItWouldBeComputed) {
  const auto mask = *ExpertMask::make(ExpertSet({{0, 1}}), three_layers());
  const std::array<const ExpertMask*, 3> masks{nullptr, mask.get(), nullptr};
  const std::array<std::uint32_t, 2> rows{0, 1};
  EXPECT_EQ(count_restricted(masks, {0, 2}, rows), 1U);
  EXPECT_EQ(count_restricted({}, {0, 1}, rows), 0U);
  EXPECT_DEATH(count_restricted(masks, {0, 1}, rows), "must not use it");
}

class MaskedEngine : public EngineTest {
 protected:
  /// Forbids a share of the experts of every layer.
  static std::shared_ptr<const ExpertMask> mask_of(std::uint64_t seed, double share) {
    Rng rng(seed);
    const ModelConfig& config = checkpoint_->config();
    std::vector<ExpertSlot> slots;
    for (std::uint32_t layer = 0; layer < config.num_layers; ++layer)
      for (std::uint32_t expert = 1; expert < config.num_experts; ++expert)
        if (config.is_moe_layer(layer) && rng.uniform() < share) slots.push_back({layer, expert});
    return *ExpertMask::make(ExpertSet(std::move(slots)), config);
  }
  static std::vector<GenerationRequest> mixed_requests() {
    const std::array masks{std::shared_ptr<const ExpertMask>(), mask_of(1, 0.3), mask_of(2, 0.95), mask_of(3, 1.0)};
    std::vector<GenerationRequest> requests;
    for (const auto& one : golden_cases("golden_generate.json")) {
      if (requests.size() == 12) break;
      GenerationRequest asked = request(std::to_string(requests.size()), numbers<TokenId>(one.at("prompt_ids")), 12);
      asked.mask = masks[requests.size() % masks.size()];
      requests.push_back(std::move(asked));
    }
    return requests;
  }
};

TEST_F(MaskedEngine, GivesTheSameTokensAloneAndBesideRequestsWithOtherRights) {
  const std::vector<GenerationRequest> requests = mixed_requests();
  start({.max_batch = 1});
  std::vector<Heard> alone;
  for (const GenerationRequest& asked : requests) alone.push_back(generate(asked));
  engine_.reset();
  start({.threads = 2, .max_batch = 12, .max_step_tokens = 31});
  std::vector<Collected> collected(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) ASSERT_TRUE(engine_->submit(requests[i], collected[i].sink()).has_value());
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(collected[i].wait().tokens, alone[i].tokens) << i;
  for (std::size_t i = 0; i < requests.size(); i += 4) {
    const auto golden = numbers<TokenId>(golden_cases("golden_generate.json")[i].at("greedy_ids"));
    EXPECT_EQ(alone[i].tokens, std::vector<TokenId>(golden.begin(), golden.begin() + 12)) << "unrestricted: as ever";
  }
}

TEST_F(MaskedEngine, ComputesNoForbiddenExpertInPrefillOrDecode) {
  start();
  const auto mask = mask_of(5, 0.9);
  const std::vector<std::uint64_t> before = engine_->expert_loads();
  GenerationRequest asked = request("r", std::vector<TokenId>(40, 17), 20);
  asked.mask = mask;
  EXPECT_EQ(generate(std::move(asked)).tokens.size(), 20U);
  const std::vector<std::uint64_t> after = engine_->expert_loads();
  const ModelConfig& config = checkpoint_->config();
  std::uint64_t computed = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    computed += after[i] - before[i];
    if (mask->allows(config.expert_geometry().slot(i))) continue;
    EXPECT_EQ(after[i], before[i]) << i;
  }
  EXPECT_GT(computed, 59U * config.num_layers);
  EXPECT_EQ(engine_->stats().routed_tokens, 59U);
}

TEST_F(MaskedEngine, GivesUpARequestThatWaitsBeyondItsDeadline) {
  Engine& engine = start({.max_batch = 1});
  Collected running;
  Collected late;
  ASSERT_TRUE(engine.submit(request("running", {5, 6}, 40), running.sink()).has_value());
  GenerationRequest asked = request("late", {7, 8}, 5);
  asked.deadline = clock_.now();
  ASSERT_TRUE(engine.submit(std::move(asked), late.sink()).has_value());
  const Heard heard = late.wait();
  EXPECT_EQ(heard.reason, FinishReason::kError);
  ASSERT_TRUE(heard.error.has_value());
  EXPECT_EQ(heard.error->code, ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(heard.tokens.empty());
  EXPECT_EQ(running.wait().tokens.size(), 40U);
}

}  // namespace
}  // namespace flexpert::engine
