#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "engine/kernels/kernel_table.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

float random_float(Rng& rng) { return static_cast<float>(rng.uniform() * 2 - 1); }

std::vector<float> random_floats(Rng& rng, std::size_t count) {
  std::vector<float> values(count);
  for (float& v : values) v = random_float(rng);
  return values;
}

/// A random matrix: as the kernels get it, and as plain floats.
struct TestMatrix {
  std::vector<std::byte> packed;
  std::vector<float> plain;
  PackedMatrix view;

  TestMatrix(Rng& rng, WeightType type, std::uint32_t outputs, std::uint32_t inputs) : plain(random_floats(rng, std::size_t{outputs} * inputs)) {
    std::vector<std::byte> row_major(plain.size() * size_of(type));
    for (std::size_t i = 0; i < plain.size(); ++i) {
      auto bits = std::bit_cast<std::uint32_t>(plain[i]);
      if (type == WeightType::kBF16) {
        plain[i] = std::bit_cast<float>(bits & 0xffff0000U);
        const auto half = static_cast<std::uint16_t>(bits >> 16);
        std::memcpy(row_major.data() + 2 * i, &half, 2);
      } else {
        std::memcpy(row_major.data() + 4 * i, &bits, 4);
      }
    }
    packed.resize(packed_bytes(type, outputs, inputs));
    pack_matrix(type, row_major, outputs, inputs, packed.data());
    view = {packed.data(), type, outputs, inputs};
  }
};

/// The definition: one chain of multiply-adds per output, inputs ascending.
std::vector<float> reference_matmul(const TestMatrix& w, const std::vector<float>& x, std::size_t rows) {
  std::vector<float> y(rows * w.view.outputs);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t o = 0; o < w.view.outputs; ++o) {
      float sum = 0;
      for (std::size_t i = 0; i < w.view.inputs; ++i) sum = std::fma(x[r * w.view.inputs + i], w.plain[o * w.view.inputs + i], sum);
      y[r * w.view.outputs + o] = sum;
    }
  return y;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Portable {
 public:
  Portable() { force_portable_kernels(true); }
  ~Portable() { force_portable_kernels(false); }
};

TEST(Matmul, SumsInputsInAscendingOrderForAnyRowsShapeThreadsAndInstructionSet) {
  Rng rng(1);
  ComputePool pools[] = {ComputePool(1), ComputePool(2), ComputePool(3)};
  for (std::size_t rows = 1; rows <= 33; ++rows) {
    for (const WeightType type : {WeightType::kF32, WeightType::kBF16}) {
      const auto outputs = static_cast<std::uint32_t>(1 + rng.below(150));
      const auto inputs = static_cast<std::uint32_t>(1 + rng.below(130));
      const TestMatrix w(rng, type, outputs, inputs);
      const std::vector<float> x = random_floats(rng, rows * inputs);
      const std::vector<float> expected = reference_matmul(w, x, rows);
      for (ComputePool& pool : pools) {
        std::vector<float> y(rows * outputs, -1);
        matmul(w.view, x.data(), rows, inputs, y.data(), outputs, pool);
        EXPECT_TRUE(same_bits(y, expected)) << rows << " rows, " << outputs << " x " << inputs << ", threads " << pool.threads();
      }
      const Portable portable;
      std::vector<float> y(rows * outputs, -1);
      matmul(w.view, x.data(), rows, inputs, y.data(), outputs, pools[0]);
      EXPECT_TRUE(same_bits(y, expected)) << "portable, " << rows << " rows, " << outputs << " x " << inputs;
    }
  }
}

TEST(Matmul, LeavesThePlaceBetweenRowsAlone) {
  Rng rng(2);
  ComputePool pool(1);
  const TestMatrix w(rng, WeightType::kBF16, 21, 40);
  const std::vector<float> x = random_floats(rng, 7 * 50);
  std::vector<float> y(7 * 30, 5.0F);
  matmul(w.view, x.data(), 7, 50, y.data(), 30, pool);
  for (std::size_t r = 0; r < 7; ++r)
    for (std::size_t o = 21; o < 30; ++o) EXPECT_EQ(y[r * 30 + o], 5.0F);
}

TEST(Matmul, SplitsLargeWorkOverThreadsWithTheSameBits) {
  Rng rng(3);
  ComputePool one(1);
  ComputePool three(3);
  const TestMatrix w(rng, WeightType::kBF16, 1000, 700);
  const std::vector<float> x = random_floats(rng, 5 * 700);
  std::vector<float> a(5 * 1000);
  std::vector<float> b(5 * 1000);
  for (int repeat = 0; repeat < 50; ++repeat) {
    matmul(w.view, x.data(), 5, 700, a.data(), 1000, one);
    matmul(w.view, x.data(), 5, 700, b.data(), 1000, three);
    ASSERT_TRUE(same_bits(a, b));
  }
}

TEST(ExpertMlp, GivesEachRowTheSameBitsAloneAndInAGroupAndPortably) {
  Rng rng(4);
  for (const WeightType type : {WeightType::kF32, WeightType::kBF16}) {
    const TestMatrix gate(rng, type, 50, 96);
    const TestMatrix up(rng, type, 50, 96);
    const TestMatrix down(rng, type, 96, 50);
    const ExpertWeights w{gate.view, up.view, down.view};
    const std::size_t rows = 11;
    const std::vector<float> x = random_floats(rng, rows * 96);
    std::vector<float> scratch(expert_scratch_floats(w, rows));
    std::vector<float> together(rows * 96);
    expert_mlp(w, x.data(), rows, together.data(), scratch.data());
    std::vector<float> alone(rows * 96);
    for (std::size_t r = 0; r < rows; ++r) expert_mlp(w, x.data() + r * 96, 1, alone.data() + r * 96, scratch.data());
    EXPECT_TRUE(same_bits(together, alone));
    const Portable portable;
    std::vector<float> plain(rows * 96);
    expert_mlp(w, x.data(), rows, plain.data(), scratch.data());
    EXPECT_TRUE(same_bits(together, plain));

    // Against the formula in double.
    for (std::size_t o = 0; o < 96; ++o) {
      double sum = 0;
      for (std::size_t m = 0; m < 50; ++m) {
        double g = 0;
        double u = 0;
        for (std::size_t i = 0; i < 96; ++i) {
          g += double{gate.plain[m * 96 + i]} * x[i];
          u += double{up.plain[m * 96 + i]} * x[i];
        }
        sum += g / (1 + std::exp(-g)) * u * down.plain[o * 50 + m];
      }
      EXPECT_NEAR(together[o], sum, 1e-3 + 1e-5 * std::abs(sum));
    }
  }
}

TEST(PackMatrix, FillsTheLastPanelWithZeros) {
  const std::vector<std::byte> ones(2 * 3 * 2, std::byte{0x3f});
  std::vector<std::byte> packed(packed_bytes(WeightType::kBF16, 2, 3), std::byte{0xff});
  ASSERT_EQ(packed.size(), 16U * 3 * 2);
  pack_matrix(WeightType::kBF16, ones, 2, 3, packed.data());
  std::size_t not_zero = 0;
  for (const std::byte b : packed) not_zero += b == std::byte{0} ? 0 : 1;
  EXPECT_EQ(not_zero, ones.size());
}

TEST(ComputePool, CoversEveryIndexOnceAtAnyGrain) {
  for (std::uint32_t threads = 1; threads <= 3; ++threads) {
    ComputePool pool(threads);
    for (std::uint32_t count : {0U, 1U, 2U, 7U, 64U, 1000U}) {
      for (std::uint32_t grain : {0U, 1U, 3U, 100U, 5000U}) {
        std::vector<int> hits(count, 0);
        pool.parallel_for(count, grain, [&](std::uint32_t begin, std::uint32_t end) {
          for (std::uint32_t i = begin; i < end; ++i) ++hits[i];
        });
        EXPECT_EQ(hits, std::vector<int>(count, 1)) << threads << " threads, " << count << " by " << grain;
      }
    }
  }
}

}  // namespace
}  // namespace flexpert::engine
