#include "codec/profile_json.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

EngineProfile small_profile() {
  EngineProfile profile;
  profile.model = "a \"quoted\" model";
  profile.engine = "engine 1";
  profile.gpus_per_instance = 2;
  profile.limits = EngineLimits{64, 1024, 200'000};
  profile.samples = ClassicSamples{{1, 2, 3, 4}, {10.1, 20, 30, 40}, {100, 100, 100, 100}, {0, 0.5, 1}, {100, 200, 300}, {1, 2, 1.0 / 3},
                                   {9, 8, 7}, 5000};
  profile.steps = {{100, 2, 300, 0.01}, {0, 64, 1e5, 0.02}};
  return profile;
}

std::string refusal(std::string text, std::string_view from, std::string_view to) {
  text.replace(text.find(from), from.size(), to);
  const auto profile = parse_profile_json(text);
  return profile ? "accepted" : profile.error().message;
}

TEST(ProfileJson, ReadsBackWhatItWrites) {
  const auto again = parse_profile_json(write_profile_json(small_profile()));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(*again, small_profile());
  EngineProfile steps_only;
  steps_only.steps = small_profile().steps;
  EXPECT_EQ(*parse_profile_json(write_profile_json(steps_only)), steps_only);
}

TEST(ProfileJson, NamesWhatIsWrong) {
  const std::string text = write_profile_json(small_profile());
  EXPECT_EQ(refusal(text, "flexpert-profile/1", "other"), "format: must be \"flexpert-profile/1\", is \"other\"");
  EXPECT_NE(refusal(text, "ttft_ms", "ttft_s").find("prefill.ttft_s: there is no such key; allowed: isl, ttft_ms"), std::string::npos);
  EXPECT_EQ(refusal(text, "10.1, 20", "10.1, -20"), "prefill.ttft_ms[1]: must be finite and at least 0, not -20");
  EXPECT_EQ(refusal(text, "[10.1, 20, 30, 40]", "\"x\""), "prefill.ttft_ms: must be nested arrays of numbers, is a string");
  EXPECT_EQ(refusal(text, "\"max_kv_tokens\": 5000", "\"max_kv_tokens\": null"), "decode.max_kv_tokens: must be there, and a number");
  EXPECT_EQ(refusal(text, "\"gpus_per_instance\": 2", "\"gpus_per_instance\": 1.5"),
            "gpus_per_instance: must be a whole number from 1 to 4096, not 1.5");
  EXPECT_EQ(refusal(text, "[0.01, 0.02]", "[0.01]"), "steps.seconds: must have as many values as steps.new_tokens, 2; it has 1");
  EXPECT_NE(refusal(text, "{", "").find("profile"), std::string::npos);
  EXPECT_EQ(parse_profile_json("{\"format\": \"flexpert-profile/1\", \"gpus_per_instance\": 1}").error().message,
            "profile: it measures nothing; give prefill and decode, or steps");
  EXPECT_EQ(parse_profile_json("[]").error().message, "profile: must be an object");
}

}  // namespace
}  // namespace flexpert::codec
