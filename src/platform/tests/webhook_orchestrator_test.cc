#include "platform/webhook_orchestrator.h"

#include <gtest/gtest.h>

#include "http/server.h"
#include "platform/webhook_signature.h"

namespace flexpert::platform {
namespace {

const std::string kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// One loop with somebody's orchestrator, and ours that calls it.
class WebhookWorld : public ::testing::Test {
 protected:
  WebhookWorld() : server(loop, {}, [this](http::Request request, http::Responder responder) {
      got.push_back(std::move(request));
      responder.respond({statuses.empty() ? 204 : statuses.front(), {}, ""});
      if (!statuses.empty()) statuses.erase(statuses.begin());
    }) {
    options.url = "http://" + server.listen(*net::Address::parse("127.0.0.1:0"))->to_string() + "/hook";
    options.secret = kSecret;
    options.first_backoff = Milliseconds(5);
    options.longest_backoff = Milliseconds(20);
  }

  void start() {
    auto created = WebhookOrchestrator::create(loop, clock, options);
    ASSERT_TRUE(created) << created.error().message;
    webhook = std::move(*created);
    webhook->set_on_progress([this](const codec::WebhookProgress& progress) { progresses.push_back(progress); });
  }

  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = clock.now() + Seconds(10);
    while (!condition()) {
      if (clock.now() > give_up) return false;
      loop.run_once(Milliseconds(20));
    }
    return true;
  }

  http::Request signed_progress(const std::string& id, std::uint64_t sequence, std::int64_t offset_s = 0) {
    http::Request request;
    request.method = "POST";
    request.target = "/api/v1/webhook/progress";
    request.body = codec::encode(codec::WebhookProgress{{"p"}, 1, sequence, {{{"i"}, InstanceState::kReady, "h:1", ""}}});
    const std::string timestamp = std::to_string(clock.unix_ms() / 1000 + offset_s);
    request.headers.set("Webhook-Id", id);
    request.headers.set("Webhook-Timestamp", timestamp);
    request.headers.set("Webhook-Signature", WebhookSignature::create(kSecret)->sign(id, timestamp, request.body));
    return request;
  }

  SystemClock clock;
  net::EventLoop loop;
  std::vector<http::Request> got;
  std::vector<int> statuses;
  http::Server server;
  WebhookOptions options;
  std::unique_ptr<WebhookOrchestrator> webhook;
  std::vector<codec::WebhookProgress> progresses;
};

TEST(WebhookSignature, IsThatOfStandardWebhooks) {
  // The example of the specification's reference implementations.
  const auto signature = WebhookSignature::create(kSecret);
  ASSERT_TRUE(signature);
  const std::string right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
  EXPECT_EQ(signature->sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", R"({"test": 2432232314})"), right);
  EXPECT_TRUE(signature->holds("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", R"({"test": 2432232314})", "v1,Zm9v v2,x " + right));
  EXPECT_FALSE(signature->holds("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265331", R"({"test": 2432232314})", right));
  EXPECT_FALSE(signature->holds("msg", "1", "", ""));
}

TEST(WebhookSignature, ASecretThatIsShortOrNoBase64IsRefused) {
  EXPECT_TRUE(WebhookSignature::create("sixteen bytes ok\n"));
  for (const std::string secret : {"", "short", "whsec_", "whsec_!!!!!!!!!!!!!!!!!!!!!!!!", "whsec_QUJD"}) {
    const auto made = WebhookSignature::create(secret);
    ASSERT_FALSE(made) << secret;
    EXPECT_TRUE(made.error().message.starts_with("webhook secret: ")) << made.error().message;
  }
}

TEST_F(WebhookWorld, TheDesiredStateGoesOutSignedAndOnlyOnce) {
  start();
  EXPECT_EQ(webhook->want({{{"p"}, "m", 3, {{"i-1"}}, 30, {}}}), 1U);
  EXPECT_EQ(webhook->want({{{"p"}, "m", 3, {{"i-1"}}, 30, {}}}), 1U);
  ASSERT_TRUE(until([&] { return webhook->delivery().delivered_revision == 1; }));
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].target, "/hook");
  const auto header = [&](std::string_view name) { return std::string(got[0].headers.find(name).value_or("")); };
  EXPECT_TRUE(WebhookSignature::create(kSecret)->holds(header("webhook-id"), header("webhook-timestamp"), got[0].body, header("webhook-signature")));
  const auto desired = codec::decode_webhook_desired(got[0].body);
  ASSERT_TRUE(desired) << desired.error().message;
  EXPECT_EQ(desired->pools[0].desired, 3U);
  EXPECT_EQ(desired->pools[0].drain[0].value, "i-1");
}

TEST_F(WebhookWorld, AFailureIsTriedAgainUnderTheSameId) {
  start();
  statuses = {500, 503, 404};
  webhook->want({{{"p"}, "m", 1, {}, 30, {}}});
  ASSERT_TRUE(until([&] { return webhook->delivery().delivered_revision == 1; }));
  ASSERT_EQ(got.size(), 4U);
  EXPECT_EQ(got[0].headers.find("webhook-id"), got[3].headers.find("webhook-id"));
  EXPECT_EQ(webhook->delivery().failures, 0U);
  EXPECT_EQ(webhook->delivery().last_error, "");
}

TEST_F(WebhookWorld, ANewerStateReplacesOneThatIsNotDelivered) {
  options.first_backoff = options.longest_backoff = Seconds(60);
  start();
  statuses = {500};
  webhook->resume_after(40);
  EXPECT_EQ(webhook->want({{{"p"}, "m", 1, {}, 30, {}}}), 41U);
  ASSERT_TRUE(until([&] { return webhook->delivery().failures == 1; }));
  EXPECT_EQ(webhook->delivery().last_error, options.url + " answered 500");
  EXPECT_EQ(webhook->want({{{"p"}, "m", 2, {}, 30, {}}}), 42U);
  ASSERT_TRUE(until([&] { return webhook->delivery().delivered_revision == 42; }));
  EXPECT_EQ(got.size(), 2U);
}

TEST_F(WebhookWorld, TheStateInForceIsRepeated) {
  options.repeat = Milliseconds(10);
  start();
  webhook->want({{{"p"}, "m", 1, {}, 30, {}}});
  ASSERT_TRUE(until([&] { return got.size() >= 3; }));
  EXPECT_NE(got[0].headers.find("webhook-id"), got[1].headers.find("webhook-id"));
  EXPECT_EQ(codec::decode_webhook_desired(got[1].body)->revision, 1U);
}

TEST_F(WebhookWorld, ProgressComesBackOnceAndInOrder) {
  start();
  EXPECT_EQ(webhook->take_progress(signed_progress("a", 5)).status, 204);
  EXPECT_EQ(webhook->take_progress(signed_progress("b", 4)).status, 204);
  EXPECT_EQ(webhook->take_progress(signed_progress("c", 6)).status, 204);
  ASSERT_EQ(progresses.size(), 2U);
  EXPECT_EQ(progresses[1].sequence, 6U);
  EXPECT_EQ(progresses[0].instances[0].address, "h:1");
}

TEST_F(WebhookWorld, WhatIsReplayedOldOrNotOursIsRefused) {
  start();
  const http::Request once = signed_progress("a", 1);
  EXPECT_EQ(webhook->take_progress(once).status, 204);
  EXPECT_EQ(webhook->take_progress(once).status, 409);
  EXPECT_EQ(webhook->take_progress(signed_progress("b", 2, -301)).status, 401);
  EXPECT_EQ(webhook->take_progress(signed_progress("c", 2, 301)).status, 401);
  http::Request changed = signed_progress("d", 3);
  changed.body += " ";
  EXPECT_EQ(webhook->take_progress(changed).status, 401);
  http::Request other_id = signed_progress("e", 3);
  other_id.headers.set("Webhook-Id", "f");
  EXPECT_EQ(webhook->take_progress(other_id).status, 401);
  http::Request bare = signed_progress("g", 3);
  bare.headers.remove("Webhook-Signature");
  EXPECT_EQ(webhook->take_progress(bare).status, 401);
  EXPECT_EQ(progresses.size(), 1U);
}

TEST_F(WebhookWorld, ABodyThatIsMalformedIsNamedAndMayBeSentAgain) {
  start();
  http::Request request = signed_progress("a", 1);
  request.body = "{}";
  const std::string timestamp(*request.headers.find("webhook-timestamp"));
  request.headers.set("webhook-signature", WebhookSignature::create(kSecret)->sign("a", timestamp, request.body));
  const http::Response answer = webhook->take_progress(request);
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("pool: missing"), std::string::npos);
  EXPECT_EQ(webhook->take_progress(signed_progress("a", 1)).status, 204);
}

TEST_F(WebhookWorld, ProgressOfNoPoolOfOursOrFromNoAddressIsNamed) {
  start();
  http::Request request = signed_progress("one", 1);
  const auto send = [&](const std::string& id, const codec::WebhookProgress& progress) {
    request.body = codec::encode(progress);
    const std::string timestamp = std::to_string(clock.unix_ms() / 1000);
    request.headers.set("Webhook-Id", id);
    request.headers.set("Webhook-Timestamp", timestamp);
    request.headers.set("Webhook-Signature", WebhookSignature::create(kSecret)->sign(id, timestamp, request.body));
    return webhook->take_progress(request);
  };
  const http::Response address = send("two", {{"p"}, 1, 2, {{{"i"}, InstanceState::kReady, "not an address", ""}}});
  EXPECT_EQ(address.status, 400);
  EXPECT_NE(address.body.find("instances[0].address"), std::string::npos) << address.body;
  codec::WebhookPool ours;
  ours.pool = {"p"};
  webhook->want({ours});
  const http::Response pool = send("three", {{"q"}, 1, 3, {}});
  EXPECT_EQ(pool.status, 400);
  EXPECT_NE(pool.body.find("pool: "), std::string::npos) << pool.body;
  EXPECT_EQ(send("four", {{"p"}, 1, 4, {}}).status, 204);
}

TEST_F(WebhookWorld, AUrlOrSecretThatCannotBeIsRefused) {
  options.url = "orchestrator:80";
  EXPECT_EQ(WebhookOrchestrator::create(loop, clock, options).error().message,
            "webhook url: must begin with http:// or https://: \"orchestrator:80\"");
}

}  // namespace
}  // namespace flexpert::platform
