#include "codec/webhook_messages.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

WebhookProgress progress() {
  return {{"chat"}, 4, 9, {{{"i-1"}, InstanceState::kReady, "10.0.0.1:8000", ""}, {{"i-2"}, InstanceState::kFailed, "", "no GPU left"}}};
}

TEST(WebhookMessages, DesiredComesBackAlike) {
  WebhookDesired desired;
  desired.revision = 12;
  desired.unix_ms = 1'700'000'000'000;
  desired.pools = {{{"chat"}, "m", 3, {{"i-1"}}, 30, {{"queue", "5 wait", {{"queued", 5}}}}}, {{"other"}, "", 0, {}, 120, {}}};
  const std::string text = encode(desired);
  EXPECT_NE(text.find("\"type\":\"flexpert.pools.desired\""), std::string::npos);
  const auto back = decode_webhook_desired(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, desired);
}

TEST(WebhookMessages, ProgressComesBackAlike) {
  const auto back = decode_webhook_progress(encode(progress()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, progress());
}

TEST(WebhookMessages, AddressAndErrorMayBeLeftOut) {
  const auto back = decode_webhook_progress(R"({"pool":"p","revision":0,"sequence":1,"instances":[{"id":"a","state":"starting"}]})");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->instances[0].address, "");
}

TEST(WebhookMessages, MistakesNameTheField) {
  const struct Case {
    std::string_view json;
    std::string_view message;
  } cases[] = {
      {"nonsense", "progress: not JSON"},
      {R"({"revision":0,"sequence":1,"instances":[]})", "pool: missing"},
      {R"({"pool":"","revision":0,"sequence":1,"instances":[]})", "pool: must have 1 to 1024 bytes: 0"},
      {R"({"pool":"p","revision":-1,"sequence":1,"instances":[]})", "revision: must be an integer from 0"},
      {R"({"pool":"p","revision":0,"sequence":1,"instances":{}})", "instances: must be an array"},
      {R"({"pool":"p","revision":0,"sequence":1,"instances":[{"id":"a","state":"happy"}]})",
       "instances[0].state: must be one of starting, warm, ready, draining, stopped, failed: \"happy\""},
      {R"({"pool":"p","revision":0,"sequence":1,"instances":[{"id":"a","state":"ready"},{"id":"a","state":"ready"}]})",
       "instances: \"a\" is there twice"},
  };
  for (const Case& c : cases) {
    const auto result = decode_webhook_progress(c.json);
    ASSERT_FALSE(result) << c.json;
    EXPECT_NE(result.error().message.find(c.message), std::string::npos) << result.error().message;
  }
}

}  // namespace
}  // namespace flexpert::codec
