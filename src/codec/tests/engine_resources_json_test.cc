#include "codec/engine_resources_json.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

TEST(EngineResourcesJson, ReportsComeBack) {
  const auto report = decode_engine_resources_report(encode(EngineResourcesReport{.threads = 3, .kv_blocks = 200, .max_kv_blocks = 400}));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->threads, 3U);
  EXPECT_EQ(report->kv_blocks, 200U);
  EXPECT_EQ(report->max_kv_blocks, 400U);
}

TEST(EngineResourcesJson, WishesHoldOnlyWhatShouldChange) {
  const auto wish = decode_engine_resources_wish(encode(EngineResourcesWish{.threads = std::nullopt, .kv_blocks = 64}));
  ASSERT_TRUE(wish);
  EXPECT_FALSE(wish->threads);
  EXPECT_EQ(wish->kv_blocks, 64U);
}

TEST(EngineResourcesJson, MalformedWishesNameTheField) {
  EXPECT_EQ(decode_engine_resources_wish(R"({"thread":2})").error().message, "thread: unknown field; allowed: threads, kv_blocks");
  EXPECT_EQ(decode_engine_resources_wish("{}").error().message, "resources: nothing to change; give threads, kv_blocks or both");
  EXPECT_NE(decode_engine_resources_wish(R"({"threads":-1})").error().message.find("threads: must be an integer"), std::string::npos);
  EXPECT_FALSE(decode_engine_resources_wish(R"({"kv_blocks":"many"})"));
  EXPECT_FALSE(decode_engine_resources_wish("[]"));
}

}  // namespace
}  // namespace flexpert::codec
