// The parts of the family that the shipped model does not have, against the formulas in double: dense layers, an untied
// head, weights that are not renormalised, f32 weights.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "engine/model/decoder.h"
#include "memory_experts.h"
#include "random_checkpoint.h"

namespace flexpert::engine {
namespace {

using Vector = std::vector<double>;

ModelConfig small_config() {
  ModelConfig config;
  config.architecture = "Qwen3MoeForCausalLM";
  config.hidden_size = 24;
  config.num_layers = 4;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 12;
  config.intermediate_size = 40;
  config.moe_intermediate_size = 20;
  config.num_experts = 6;
  config.experts_per_token = 3;
  config.norm_topk_prob = false;
  config.decoder_sparse_step = 2;  // layers 1 and 3 may have experts
  config.mlp_only_layers = {3};    // so layer 1 alone has
  config.vocab_size = 50;
  config.max_positions = 64;
  config.rope_theta = 1000;
  config.tie_word_embeddings = false;
  return config;
}

/// The formulas, one token at a time over the whole sequence so far.
class Reference {
 public:
  explicit Reference(const RandomCheckpoint& checkpoint, ExpertSet forbidden = {})
      : checkpoint_(checkpoint), c_(checkpoint.config()), forbidden_(std::move(forbidden)) {}

  Vector last_logits(const std::vector<TokenId>& tokens) {
    std::vector<Vector> x;
    const auto& embedding = checkpoint_.floats("model.embed_tokens.weight", std::size_t{c_.vocab_size} * c_.hidden_size);
    for (const TokenId token : tokens) {
      const auto row = embedding.begin() + token * static_cast<std::ptrdiff_t>(c_.hidden_size);
      x.emplace_back(row, row + c_.hidden_size);
    }
    for (std::uint32_t l = 0; l < c_.num_layers; ++l) layer(l, fmt::format("model.layers.{}.", l), c_.is_moe_layer(l), x);
    return product("lm_head.weight", c_.vocab_size, norm("model.norm.weight", x.back()));
  }

 private:
  Vector product(const std::string& name, std::size_t outputs, const Vector& x) {
    const auto& w = checkpoint_.floats(name, outputs * x.size());
    Vector y(outputs, 0.0);
    for (std::size_t o = 0; o < outputs; ++o) y[o] = std::inner_product(x.begin(), x.end(), w.begin() + static_cast<std::ptrdiff_t>(o * x.size()), 0.0);
    return y;
  }
  Vector norm(const std::string& name, Vector x) {
    const auto& w = checkpoint_.floats(name, x.size());
    const double mean = std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / static_cast<double>(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = x[i] / std::sqrt(mean + double{c_.rms_norm_eps}) * w[i];
    return x;
  }
  static void softmax(Vector& x) {
    double sum = 0;
    for (double& v : x) sum += v = std::exp(v);
    for (double& v : x) v /= sum;
  }
  /// Heads of a projection, normalised and rotated.
  std::vector<Vector> heads(const std::string& prefix, char which, std::uint32_t count, const Vector& x, std::size_t position) {
    const Vector flat = product(prefix + which + "_proj.weight", std::size_t{count} * c_.head_dim, x);
    std::vector<Vector> out;
    for (std::uint32_t h = 0; h < count; ++h) {
      const auto begin = flat.begin() + h * static_cast<std::ptrdiff_t>(c_.head_dim);
      Vector one(begin, begin + c_.head_dim);
      if (which != 'v') {
        one = norm(prefix + which + "_norm.weight", one);
        const Vector old = one;
        const std::size_t half = c_.head_dim / 2;
        for (std::size_t i = 0; i < half; ++i) {
          const double angle = static_cast<double>(position) * std::pow(c_.rope_theta, -2.0 * static_cast<double>(i) / c_.head_dim);
          one[i] = old[i] * std::cos(angle) - old[i + half] * std::sin(angle);
          one[i + half] = old[i + half] * std::cos(angle) + old[i] * std::sin(angle);
        }
      }
      out.push_back(one);
    }
    return out;
  }
  Vector network(const std::string& prefix, std::size_t inner, const Vector& x) {
    Vector gate = product(prefix + "gate_proj.weight", inner, x);
    const Vector up = product(prefix + "up_proj.weight", inner, x);
    for (std::size_t i = 0; i < inner; ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    return product(prefix + "down_proj.weight", c_.hidden_size, gate);
  }
  void layer(std::uint32_t index, const std::string& prefix, bool moe, std::vector<Vector>& x) {
    std::vector<std::vector<Vector>> keys;
    std::vector<std::vector<Vector>> values;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Vector h = norm(prefix + "input_layernorm.weight", x[t]);
      keys.push_back(heads(prefix + "self_attn.", 'k', c_.num_kv_heads, h, t));
      values.push_back(heads(prefix + "self_attn.", 'v', c_.num_kv_heads, h, t));
      const auto queries = heads(prefix + "self_attn.", 'q', c_.num_heads, h, t);
      Vector attended;
      for (std::uint32_t head = 0; head < c_.num_heads; ++head) {
        const std::uint32_t kv = head / (c_.num_heads / c_.num_kv_heads);
        Vector scores;
        for (std::size_t p = 0; p <= t; ++p)
          scores.push_back(std::inner_product(queries[head].begin(), queries[head].end(), keys[p][kv].begin(), 0.0) / std::sqrt(double(c_.head_dim)));
        softmax(scores);
        for (std::uint32_t d = 0; d < c_.head_dim; ++d) {
          double sum = 0;
          for (std::size_t p = 0; p <= t; ++p) sum += scores[p] * values[p][kv][d];
          attended.push_back(sum);
        }
      }
      add(x[t], product(prefix + "self_attn.o_proj.weight", c_.hidden_size, attended), 1);
    }
    for (Vector& row : x) {
      const Vector h = norm(prefix + "post_attention_layernorm.weight", row);
      if (!moe) {
        add(row, network(prefix + "mlp.", c_.intermediate_size, h), 1);
        continue;
      }
      Vector router = product(prefix + "mlp.gate.weight", c_.num_experts, h);
      std::size_t allowed = 0;
      for (std::uint32_t e = 0; e < c_.num_experts; ++e) {
        if (forbidden_.contains({index, e})) router[e] = -std::numeric_limits<double>::infinity();
        else ++allowed;
      }
      softmax(router);
      std::vector<std::size_t> order(c_.num_experts);
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return router[a] > router[b]; });
      const std::size_t chosen = std::min<std::size_t>(c_.experts_per_token, allowed);
      double sum = 0;
      for (std::size_t i = 0; i < chosen; ++i) sum += router[order[i]];
      for (std::size_t i = 0; i < chosen; ++i)
        add(row, network(fmt::format("{}mlp.experts.{}.", prefix, order[i]), c_.moe_intermediate_size, h), router[order[i]] / (c_.norm_topk_prob ? sum : 1));
    }
  }
  static void add(Vector& x, const Vector& y, double weight) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += weight * y[i];
  }

  const RandomCheckpoint& checkpoint_;
  const ModelConfig& c_;
  ExpertSet forbidden_;
};

TEST(Qwen3Moe, ComputesDenseLayersAndAnUntiedHeadAsTheFormulasSay) {
  const auto checkpoint = std::make_shared<RandomCheckpoint>(small_config());
  const ModelConfig& config = checkpoint->config();
  MemoryExperts experts(*checkpoint);
  experts.start_recording();
  auto decoder = Decoder::load(checkpoint, 64);
  ASSERT_TRUE(decoder.has_value()) << decoder.error().message;
  const std::vector<TokenId> tokens{3, 49, 0, 17, 17, 8, 30, 2, 41};
  KvCache cache(config.num_layers, 4, 4, config.num_kv_heads, config.head_dim);
  const auto blocks = cache.allocate(3);
  ComputePool pool(1);
  const SequenceRows rows{.tokens = tokens, .first_position = 0, .blocks = blocks, .logits_wanted = true};
  const auto logits = (*decoder)->forward(std::span(&rows, 1), 1, cache, experts, pool);
  const Vector expected = Reference(*checkpoint).last_logits(tokens);
  ASSERT_EQ(logits.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(logits[i], expected[i], 2e-4 * (1 + std::abs(expected[i]))) << "token " << i;
  ASSERT_EQ(experts.chosen().size(), 1U) << "one layer has experts";
  EXPECT_TRUE(experts.chosen().contains(1));
}

TEST(Qwen3Moe, MasksForbiddenExpertsAsTheFormulasSayWithEitherRuleOfTheWeights) {
  for (const bool renormalised : {false, true}) {
    for (const ExpertSet& forbidden : {ExpertSet({{1, 0}, {1, 4}}), ExpertSet({{1, 0}, {1, 1}, {1, 3}, {1, 5}})}) {
      ModelConfig config = small_config();
      config.norm_topk_prob = renormalised;
      const auto checkpoint = std::make_shared<RandomCheckpoint>(config);
      const auto mask = ExpertMask::make(forbidden, config);
      ASSERT_TRUE(mask.has_value()) << mask.error().message;
      MemoryExperts experts(*checkpoint);
      experts.start_recording();
      auto decoder = Decoder::load(checkpoint, 64);
      const std::vector<TokenId> tokens{3, 49, 0, 17, 17, 8, 30, 2, 41};
      KvCache cache(config.num_layers, 4, 4, config.num_kv_heads, config.head_dim);
      const auto blocks = cache.allocate(3);
      ComputePool pool(1);
      const SequenceRows rows{.tokens = tokens, .first_position = 0, .blocks = blocks, .logits_wanted = true, .mask = mask->get()};
      const auto logits = (*decoder)->forward(std::span(&rows, 1), 1, cache, experts, pool);
      const Vector expected = Reference(*checkpoint, forbidden).last_logits(tokens);
      for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(logits[i], expected[i], 2e-4 * (1 + std::abs(expected[i]))) << "token " << i;
      for (const auto& row : experts.chosen().at(1)) {
        EXPECT_EQ(row.size(), std::min<std::size_t>(3, 6 - forbidden.slots().size()));
        for (const std::uint32_t expert : row) EXPECT_FALSE(forbidden.contains({1, expert}));
      }
    }
  }
}

TEST(Qwen3Moe, NamesTheTensorThatIsMissing) {
  for (const std::string name : {"model.layers.2.mlp.up_proj.weight", "model.layers.1.mlp.gate.weight", "lm_head.weight",
                                 "model.layers.0.self_attn.k_norm.weight", "model.embed_tokens.weight", "model.norm.weight"}) {
    const auto checkpoint = std::make_shared<RandomCheckpoint>(small_config());
    checkpoint->lose(name);
    const auto decoder = Decoder::load(checkpoint, 64);
    ASSERT_FALSE(decoder.has_value()) << name;
    EXPECT_NE(decoder.error().message.find(name), std::string::npos) << decoder.error().message;
  }
}

TEST(Qwen3Moe, RefusesAnotherArchitecture) {
  ModelConfig config = small_config();
  config.architecture = "SomethingElse";
  const auto decoder = Decoder::load(std::make_shared<RandomCheckpoint>(config), 64);
  ASSERT_FALSE(decoder.has_value());
  EXPECT_NE(decoder.error().message.find("SomethingElse"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::engine
