#include "base/result.h"

#include <memory>

#include <gtest/gtest.h>

namespace flexpert {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorCode::kInvalidArgument, "odd number: {}", value);
  return value / 2;
}

Result<int> quarter(int value) {
  FLEXPERT_ASSIGN(const int once, half(value));
  return half(once);
}

TEST(Result, CarriesAValueThroughAssign) { EXPECT_EQ(*quarter(8), 2); }

TEST(Result, ReturnsTheErrorFromTheEnclosingFunction) {
  const Result<int> result = quarter(6);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(result.error().with_context("quarter").message, "quarter: odd number: 3");
}

}  // namespace
}  // namespace flexpert
