#include "engine/model/decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "engine/kernels/kernels.h"
#include "golden_files.h"
#include "memory_experts.h"

namespace flexpert::engine {
namespace {

class DecoderOfTheShippedModel : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto opened = Checkpoint::open(tiny_model_folder());
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    checkpoint_ = *opened;
    experts_ = std::make_unique<MemoryExperts>(*checkpoint_);
  }
  static void TearDownTestSuite() {
    experts_.reset();
    checkpoint_.reset();
  }

  void SetUp() override {
    auto loaded = Decoder::load(checkpoint_, 512);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    decoder_ = std::move(*loaded);
  }

  /// Runs `tokens` as one sequence in chunks of at most `chunk` and returns the logits after the last token.
  std::vector<float> logits_of(const std::vector<TokenId>& tokens, std::size_t chunk, ComputePool& pool) {
    const ModelConfig& config = checkpoint_->config();
    KvCache cache(config.num_layers, 40, 16, config.num_kv_heads, config.head_dim);
    const std::vector<std::uint32_t> blocks = cache.allocate(cache.blocks_for(static_cast<std::uint32_t>(tokens.size())));
    std::vector<float> last;
    for (std::size_t at = 0; at < tokens.size(); at += chunk) {
      const std::size_t count = std::min(chunk, tokens.size() - at);
      const SequenceRows rows{.tokens = std::span(tokens).subspan(at, count),
                              .first_position = static_cast<std::uint32_t>(at),
                              .blocks = blocks,
                              .logits_wanted = at + count == tokens.size()};
      const auto logits = decoder_->forward(std::span(&rows, 1), 1, cache, *experts_, pool);
      last.assign(logits.begin(), logits.end());
    }
    return last;
  }

  static std::shared_ptr<const Checkpoint> checkpoint_;
  static std::unique_ptr<MemoryExperts> experts_;
  std::unique_ptr<Decoder> decoder_;
};

std::shared_ptr<const Checkpoint> DecoderOfTheShippedModel::checkpoint_;
std::unique_ptr<MemoryExperts> DecoderOfTheShippedModel::experts_;

std::vector<TokenId> random_tokens(std::uint64_t seed, std::size_t count) {
  Rng rng(seed);
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) token = static_cast<TokenId>(rng.below(2045));
  return tokens;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST_F(DecoderOfTheShippedModel, GivesTheGoldenLogitsWithinAThousandth) {
  ComputePool pool(1);
  const auto cases = golden_cases("golden_logits.json");
  ASSERT_EQ(cases.size(), 4U);
  for (const auto& one : cases) {
    const auto expected = numbers<double>(one.at("logits"));
    const auto logits = logits_of(numbers<TokenId>(one.at("prompt_ids")), 1000, pool);
    ASSERT_EQ(logits.size(), expected.size());
    double worst = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) worst = std::max(worst, std::abs(logits[i] - expected[i]));
    EXPECT_LE(worst, 1e-3);
  }
}

TEST_F(DecoderOfTheShippedModel, ChoosesTheGoldenExpertsInEveryLayerAndToken) {
  ComputePool pool(1);
  std::size_t compared = 0;
  for (const auto& one : golden_cases("golden_routing.json")) {
    MemoryExperts experts(*checkpoint_);
    experts.start_recording();
    const auto tokens = numbers<TokenId>(one.at("prompt_ids"));
    const ModelConfig& config = checkpoint_->config();
    KvCache cache(config.num_layers, 40, 16, config.num_kv_heads, config.head_dim);
    const auto blocks = cache.allocate(40);
    const SequenceRows rows{.tokens = tokens, .first_position = 0, .blocks = blocks, .logits_wanted = false};
    EXPECT_TRUE(decoder_->forward(std::span(&rows, 1), 1, cache, experts, pool).empty());
    const auto& layers = one.at("layers").as_array();
    ASSERT_EQ(layers.size(), experts.chosen().size());
    for (std::uint32_t l = 0; l < layers.size(); ++l) {
      const auto& golden = layers[l].at("experts").as_array();
      ASSERT_EQ(golden.size(), experts.chosen().at(l).size());
      for (std::size_t t = 0; t < golden.size(); ++t, ++compared) {
        auto expected = numbers<std::uint32_t>(golden[t]);
        std::sort(expected.begin(), expected.end());
        EXPECT_EQ(experts.chosen().at(l)[t], expected) << "layer " << l << ", token " << t;
      }
    }
  }
  EXPECT_EQ(compared, 720U);
}

TEST_F(DecoderOfTheShippedModel, GivesTheSameBitsForAnyChunkThreadsAndInstructionSet) {
  ComputePool one(1);
  ComputePool two(2);
  const auto tokens = random_tokens(1, 75);
  const auto expected = logits_of(tokens, 1000, one);
  for (const std::size_t chunk : {1U, 7U, 16U, 33U}) EXPECT_TRUE(same_bits(logits_of(tokens, chunk, one), expected)) << "chunk " << chunk;
  for (const std::size_t chunk : {5U, 1000U}) EXPECT_TRUE(same_bits(logits_of(tokens, chunk, two), expected)) << "two threads, " << chunk;
  force_portable_kernels(true);
  const auto portable = logits_of(tokens, 20, one);
  force_portable_kernels(false);
  EXPECT_TRUE(same_bits(portable, expected));
}

TEST_F(DecoderOfTheShippedModel, GivesEachSequenceOfABatchTheBitsItHasAlone) {
  ComputePool pool(2);
  const ModelConfig& config = checkpoint_->config();
  KvCache cache(config.num_layers, 120, 16, config.num_kv_heads, config.head_dim);
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::vector<std::uint32_t>> blocks;
  std::vector<SequenceRows> batch;
  for (std::uint64_t i = 0; i < 16; ++i) {
    prompts.push_back(random_tokens(i + 2, 1 + i * 5));
    blocks.push_back(cache.allocate(cache.blocks_for(static_cast<std::uint32_t>(prompts.back().size()))));
  }
  for (std::size_t i = 0; i < 16; ++i)
    batch.push_back({.tokens = prompts[i], .first_position = 0, .blocks = blocks[i], .logits_wanted = i % 3 != 1});
  const auto logits = decoder_->forward(batch, 1, cache, *experts_, pool);
  const std::vector<float> together(logits.begin(), logits.end());
  std::size_t at = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (!batch[i].logits_wanted) continue;
    EXPECT_TRUE(same_bits(std::span(together).subspan(at, config.vocab_size), logits_of(prompts[i], 1000, pool))) << "sequence " << i;
    at += config.vocab_size;
  }
  EXPECT_EQ(at, together.size());
}

TEST_F(DecoderOfTheShippedModel, CountsEveryRowOfEveryExpert) {
  ComputePool pool(1);
  logits_of(random_tokens(3, 20), 6, pool);
  const auto loads = decoder_->loads().snapshot();
  const ModelConfig& config = checkpoint_->config();
  ASSERT_EQ(loads.size(), config.expert_geometry().size());
  for (std::uint32_t l = 0; l < config.num_layers; ++l) {
    std::uint64_t rows = 0;
    for (std::uint32_t e = 0; e < config.num_experts; ++e) rows += loads[config.expert_geometry().index({l, e})];
    EXPECT_EQ(rows, 20U * config.experts_per_token);
  }
}

TEST(ChooseExperts, FallsByProbabilityAndGivesTiesToTheLowerIndex) {
  const float probabilities[] = {0.1F, 0.3F, 0.05F, 0.3F, 0.15F, 0.1F};
  ExpertChoice choices[4];
  choose_experts(probabilities, 6, 4, false, choices);
  EXPECT_EQ(choices[0].expert, 1U);
  EXPECT_EQ(choices[1].expert, 3U);
  EXPECT_EQ(choices[2].expert, 4U);
  EXPECT_EQ(choices[3].expert, 0U);
  EXPECT_EQ(choices[3].weight, 0.1F);
  choose_experts(probabilities, 6, 2, true, choices);
  EXPECT_EQ(choices[0].weight, 0.5F);
  EXPECT_EQ(choices[1].weight, 0.5F);
}

TEST(KvCache, LendsEachBlockOnceAndTakesItBack) {
  KvCache cache(2, 5, 4, 1, 8);
  EXPECT_EQ(cache.blocks_for(1), 1U);
  EXPECT_EQ(cache.blocks_for(9), 3U);
  auto first = cache.allocate(3);
  const auto second = cache.allocate(2);
  EXPECT_FALSE(cache.can_allocate(1));
  first.insert(first.end(), second.begin(), second.end());
  std::sort(first.begin(), first.end());
  EXPECT_EQ(first, (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  cache.release(second);
  EXPECT_EQ(cache.used(), 3U);
  EXPECT_TRUE(cache.can_allocate(2));
}

}  // namespace
}  // namespace flexpert::engine
