#include "base/decimal.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert {
namespace {

std::string text_of(std::uint64_t value) {
  char out[kDecimalBytes];
  return {out, write_decimal(out, value)};
}

TEST(Decimal, WritesEveryNumberAsOthersDo) {
  for (std::uint64_t value = 0; value < 200'000; ++value) ASSERT_EQ(text_of(value), std::to_string(value));
  for (std::uint64_t power = 1; power <= 1'000'000'000'000'000'000; power *= 10)
    for (const std::uint64_t value : {power - 1, power, power + 1, 5 * power, 9 * power})
      ASSERT_EQ(text_of(value), std::to_string(value));
  EXPECT_EQ(text_of(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  Rng rng(7);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t value = rng.next() >> rng.below(64);
    ASSERT_EQ(text_of(value), std::to_string(value));
  }
}

}  // namespace
}  // namespace flexpert
