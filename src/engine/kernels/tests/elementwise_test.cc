#include "engine/kernels/elementwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

std::vector<float> random_floats(Rng& rng, std::size_t count, double range) {
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>((rng.uniform() * 2 - 1) * range);
  return values;
}

/// Runs `compute` with the best and with the portable kernels and expects the same bytes.
template <class Compute>
std::vector<float> same_on_both(Compute compute) {
  const std::vector<float> fast = compute();
  force_portable_kernels(true);
  const std::vector<float> portable = compute();
  force_portable_kernels(false);
  EXPECT_EQ(fast.size(), portable.size());
  EXPECT_EQ(std::memcmp(fast.data(), portable.data(), fast.size() * sizeof(float)), 0);
  return fast;
}

TEST(Exponentials, AreWithinTwoUlpOfTheTruthOverTheWholeRange) {
  std::vector<float> x;
  for (float v = -104.5F; v < 89.5F; v += 0.00173F) x.push_back(v);
  Rng rng(1);
  for (const float v : random_floats(rng, 50000, 1.0)) x.push_back(v);
  const std::vector<float> y = same_on_both([&] {
    std::vector<float> out(x.size());
    exponentials(x.data(), x.size(), out.data());
    return out;
  });
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double truth = std::exp(static_cast<long double>(x[i]));
    if (truth > std::numeric_limits<float>::max()) {
      EXPECT_EQ(y[i], std::numeric_limits<float>::infinity()) << x[i];
      continue;
    }
    const float nearest = static_cast<float>(truth);
    const long double ulp = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - static_cast<long double>(nearest);
    worst = std::max(worst, static_cast<double>(std::abs(y[i] - truth) / ulp));
  }
  EXPECT_LE(worst, 2.0);
  RecordProperty("worst_ulp_thousandths", static_cast<int>(worst * 1000));
}

TEST(Exponentials, TreatTheEdgesAsExpDoes) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0.0F, -0.0F, inf, -inf, std::nanf(""), 1e30F, -1e30F, 88.72F, -103.0F, 1e-30F};
  const std::vector<float> y = same_on_both([&] {
    std::vector<float> out(x.size());
    exponentials(x.data(), x.size(), out.data());
    return out;
  });
  EXPECT_EQ(y[0], 1.0F);
  EXPECT_EQ(y[1], 1.0F);
  EXPECT_EQ(y[2], inf);
  EXPECT_EQ(y[3], 0.0F);
  EXPECT_TRUE(std::isnan(y[4]));
  EXPECT_EQ(y[5], inf);
  EXPECT_EQ(y[6], 0.0F);
  EXPECT_TRUE(std::isfinite(y[7]));
  EXPECT_GT(y[8], 0.0F);
  EXPECT_EQ(y[9], 1.0F);
}

TEST(Softmax, SumsToOneAndKeepsTheOrderForAnyLength) {
  Rng rng(2);
  for (std::size_t n = 1; n < 70; ++n) {
    const std::vector<float> x = random_floats(rng, n, 20);
    const std::vector<float> y = same_on_both([&] {
      std::vector<float> out = x;
      softmax(out.data(), n);
      return out;
    });
    double sum = 0;
    for (const float v : y) sum += v;
    EXPECT_NEAR(sum, 1.0, 1e-5);
    EXPECT_EQ(std::max_element(x.begin(), x.end()) - x.begin(), std::max_element(y.begin(), y.end()) - y.begin());
  }
}

TEST(RmsNorm, MatchesTheFormulaForAnyLength) {
  Rng rng(3);
  for (std::size_t n = 1; n < 70; ++n) {
    const std::vector<float> x = random_floats(rng, n, 3);
    const std::vector<float> weight = random_floats(rng, n, 2);
    const std::vector<float> y = same_on_both([&] {
      std::vector<float> out(n);
      rms_norm(x.data(), weight.data(), 1e-6F, n, out.data());
      return out;
    });
    double squares = 0;
    for (const float v : x) squares += double{v} * v;
    for (std::size_t i = 0; i < n; ++i)
      EXPECT_NEAR(y[i], x[i] / std::sqrt(squares / static_cast<double>(n) + 1e-6) * weight[i], 1e-5);
  }
}

TEST(SiluMultiply, MatchesTheFormulaForAnyLength) {
  Rng rng(4);
  for (std::size_t n = 1; n < 40; ++n) {
    const std::vector<float> gate = random_floats(rng, n, 30);
    const std::vector<float> up = random_floats(rng, n, 2);
    const std::vector<float> y = same_on_both([&] {
      std::vector<float> out = gate;
      silu_multiply(out.data(), up.data(), n);
      return out;
    });
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], gate[i] / (1 + std::exp(-double{gate[i]})) * up[i], 1e-4);
  }
}

TEST(AddScaled, IsOneFusedStepPerElement) {
  Rng rng(5);
  for (std::size_t n = 1; n < 40; ++n) {
    const std::vector<float> x = random_floats(rng, n, 2);
    const std::vector<float> start = random_floats(rng, n, 2);
    const std::vector<float> y = same_on_both([&] {
      std::vector<float> out = start;
      add_scaled(0.3F, x.data(), n, out.data());
      add_to(x.data(), n, out.data());
      return out;
    });
    for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(y[i], std::fma(0.3F, x[i], start[i]) + x[i]);
  }
}

TEST(RotaryTable, TurnsPairsByPositionTimesFrequency) {
  Rng rng(6);
  for (const std::uint32_t head_dim : {8U, 20U, 32U, 128U}) {
    const RotaryTable table(head_dim, 10000.0, 300);
    const std::vector<float> x = random_floats(rng, head_dim, 1);
    for (const std::uint32_t position : {0U, 1U, 77U, 299U}) {
      const std::vector<float> y = same_on_both([&] {
        std::vector<float> out = x;
        table.rotate(out.data(), position);
        return out;
      });
      const std::size_t half = head_dim / 2;
      for (std::size_t i = 0; i < half; ++i) {
        const double angle = position * std::pow(10000.0, -2.0 * static_cast<double>(i) / head_dim);
        EXPECT_NEAR(y[i], x[i] * std::cos(angle) - x[i + half] * std::sin(angle), 1e-6);
        EXPECT_NEAR(y[i + half], x[i + half] * std::cos(angle) + x[i] * std::sin(angle), 1e-6);
      }
    }
  }
}

TEST(Attend, MatchesTheFormulaWhateverTheBlocks) {
  Rng rng(7);
  for (const std::uint32_t head_dim : {12U, 32U, 64U, 72U}) {
    const std::uint32_t heads = 4;
    const std::uint32_t kv_heads = 2;
    const std::uint32_t length = 37;
    const std::size_t token = std::size_t{kv_heads} * head_dim;
    const std::vector<float> keys = random_floats(rng, length * token, 1);
    const std::vector<float> values = random_floats(rng, length * token, 1);
    const std::vector<float> query = random_floats(rng, std::size_t{heads} * head_dim, 1);
    std::vector<std::vector<float>> answers;
    for (const std::uint32_t block_tokens : {1U, 4U, 16U, 64U}) {
      const std::uint32_t count = (length + block_tokens - 1) / block_tokens;
      std::vector<std::uint32_t> blocks(count);
      for (std::uint32_t i = 0; i < count; ++i) blocks[i] = count - i;  // scattered: backwards, block 0 unused
      std::vector<float> key_store((count + 1) * block_tokens * token, 99);
      std::vector<float> value_store(key_store.size(), 99);
      const LayerCache cache{key_store.data(), value_store.data(), block_tokens, kv_heads, head_dim};
      for (std::uint32_t p = 0; p < length; ++p) {
        std::copy_n(keys.data() + p * token, token, key_store.data() + cache.offset(blocks, p));
        std::copy_n(values.data() + p * token, token, value_store.data() + cache.offset(blocks, p));
      }
      answers.push_back(same_on_both([&] {
        std::vector<float> out(std::size_t{heads} * head_dim);
        std::vector<float> scores(length);
        attend(query.data(), cache, blocks, length, heads, 0, heads, out.data(), scores.data());
        return out;
      }));
      EXPECT_EQ(answers.back(), answers.front());
    }
    for (std::uint32_t h = 0; h < heads; ++h) {
      std::vector<double> weight(length);
      double sum = 0;
      for (std::uint32_t p = 0; p < length; ++p) {
        double score = 0;
        for (std::uint32_t d = 0; d < head_dim; ++d) score += double{query[h * head_dim + d]} * keys[p * token + h / 2 * head_dim + d];
        sum += weight[p] = std::exp(score / std::sqrt(static_cast<double>(head_dim)));
      }
      for (std::uint32_t d = 0; d < head_dim; ++d) {
        double expected = 0;
        for (std::uint32_t p = 0; p < length; ++p) expected += weight[p] / sum * values[p * token + h / 2 * head_dim + d];
        EXPECT_NEAR(answers.front()[h * head_dim + d], expected, 1e-5);
      }
    }
  }
}

}  // namespace
}  // namespace flexpert::engine
