#include "base/rng.h"

#include <array>

#include <gtest/gtest.h>

namespace flexpert {
namespace {

TEST(Rng, GivesTheSameSequenceForTheSameSeed) {
  // First outputs of SplitMix64 for seed 1234567, as in Vigna's reference program.
  Rng rng(1234567);
  EXPECT_EQ(rng.next(), 6457827717110365317ULL);
  EXPECT_EQ(rng.next(), 3203168211198807973ULL);
}

TEST(Rng, DrawsBelowABoundEvenly) {
  Rng rng(7);
  std::array<int, 10> counts{};
  for (int i = 0; i < 100000; ++i) ++counts[rng.below(10)];
  // 10,000 expected per bin; the standard deviation is 95, so 5 of them are 475.
  for (int count : counts) EXPECT_NEAR(count, 10000, 475);
}

TEST(Rng, DrawsExponentialsOfTheGivenMean) {
  Rng rng(11);
  double sum = 0;
  for (int i = 0; i < 100000; ++i) sum += rng.exponential(3.0);
  EXPECT_NEAR(sum / 100000, 3.0, 0.05);
}

}  // namespace
}  // namespace flexpert
