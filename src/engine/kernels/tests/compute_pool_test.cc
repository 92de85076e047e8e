#include "engine/kernels/compute_pool.h"

#include <atomic>
#include <vector>

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

TEST(ComputePool, CoversEveryIndexOnceWhateverItsSize) {
  ComputePool pool(1);
  for (const std::uint32_t threads : {1U, 4U, 2U, 7U, 1U, 3U}) {
    ASSERT_TRUE(pool.resize(threads));
    EXPECT_EQ(pool.threads(), threads);
    std::vector<std::atomic<int>> seen(1000);
    for (int round = 0; round < 20; ++round)
      pool.parallel_for(1000, 1, [&](std::uint32_t begin, std::uint32_t end) {
        for (std::uint32_t i = begin; i < end; ++i) seen[i].fetch_add(1);
      });
    for (const auto& count : seen) ASSERT_EQ(count.load(), 20);
  }
}

TEST(ComputePool, RefusesToHaveNoThread) {
  ComputePool pool(2);
  EXPECT_FALSE(pool.resize(0));
  EXPECT_EQ(pool.threads(), 2U);
}

}  // namespace
}  // namespace flexpert::engine
