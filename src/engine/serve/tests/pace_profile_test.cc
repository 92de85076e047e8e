#include "engine/serve/pace_profile.h"

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

TEST(PaceProfile, ReadsTheFields) {
  const auto pace = parse_pace_profile(R"({"base_ms":4,"per_token_us":12.5,"per_kv_token_us":0.25})");
  ASSERT_TRUE(pace) << pace.error().message;
  EXPECT_EQ(pace->base_ms, 4);
  EXPECT_EQ(pace->per_token_us, 12.5);
  EXPECT_EQ(pace->per_kv_token_us, 0.25);
}

TEST(PaceProfile, NamesTheFieldAtFault) {
  const auto message = [](std::string_view json) {
    const auto pace = parse_pace_profile(json);
    return pace ? std::string("accepted") : pace.error().message;
  };
  EXPECT_NE(message(R"({"base_s":4})").find("base_s"), std::string::npos);
  EXPECT_NE(message(R"({"base_ms":"4"})").find("must be a number: base_ms"), std::string::npos);
  EXPECT_NE(message(R"({"per_token_us":-1})").find("per_token_us is -1"), std::string::npos);
  EXPECT_NE(message(R"({"base_ms":60001})").find("between 0 and 60000"), std::string::npos);
  EXPECT_NE(message("{}").find("zero in every field"), std::string::npos);
  EXPECT_NE(message("[]").find("JSON object"), std::string::npos);
  EXPECT_NE(message("{").find("not valid JSON"), std::string::npos);
}

TEST(PaceProfile, NamesAFileThatIsMissing) {
  const auto pace = read_pace_profile("/nonexistent/profile.json");
  ASSERT_FALSE(pace);
  EXPECT_NE(pace.error().message.find("/nonexistent/profile.json"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::engine
