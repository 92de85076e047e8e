#include "engine/model/kv_cache.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

TEST(KvCache, GrowsAndShrinksBetweenOneAndMost) {
  KvCache cache(2, 4, 16, 1, 8, 10);
  EXPECT_EQ(cache.total(), 4U);
  EXPECT_EQ(cache.most(), 10U);
  EXPECT_FALSE(cache.can_allocate(5));
  cache.resize(10);
  EXPECT_TRUE(cache.can_allocate(10));
  cache.resize(3);
  EXPECT_FALSE(cache.can_allocate(4));
  const auto blocks = cache.allocate(3);
  EXPECT_TRUE(std::all_of(blocks.begin(), blocks.end(), [](std::uint32_t b) { return b < 3; }));
}

TEST(KvCache, BorrowedBlocksOutliveAShrinkAndCountAgainstIt) {
  KvCache cache(1, 8, 16, 1, 8);
  const auto many = cache.allocate(6);
  cache.resize(4);
  EXPECT_EQ(cache.used(), 6U);
  EXPECT_FALSE(cache.can_allocate(1));
  cache.release(std::span(many).first(3));
  EXPECT_EQ(cache.used(), 3U);
  EXPECT_TRUE(cache.can_allocate(1));
  EXPECT_FALSE(cache.can_allocate(2));
  cache.release(std::span(many).subspan(3));
  EXPECT_TRUE(cache.can_allocate(4));
  EXPECT_FALSE(cache.can_allocate(5));
}

TEST(KvCache, AGrowthTakesBackWhatAShrinkLeftBorrowed) {
  KvCache cache(1, 8, 16, 1, 8);
  const auto all = cache.allocate(8);
  cache.resize(2);
  cache.resize(8);
  EXPECT_FALSE(cache.can_allocate(1));
  cache.release(all);
  EXPECT_TRUE(cache.can_allocate(8));
  auto again = cache.allocate(8);
  std::sort(again.begin(), again.end());
  EXPECT_EQ(std::unique(again.begin(), again.end()), again.end()) << "no block twice";
}

TEST(KvCache, WhatAShrinkKeepsKeepsItsValues) {
  KvCache cache(2, 64, 16, 2, 64);
  const LayerCache layer = cache.layer(1);
  const std::size_t block_floats = 16 * 2 * 64;
  for (std::size_t i = 0; i < 64 * block_floats; ++i) layer.keys[i] = static_cast<float>(i);
  cache.resize(20);
  for (std::size_t i = 0; i < 20 * block_floats; ++i) ASSERT_EQ(layer.keys[i], static_cast<float>(i));
  EXPECT_EQ(layer.keys[64 * block_floats - 1024], 0.0F) << "the memory of the others went back to the system";
}

}  // namespace
}  // namespace flexpert::engine
