// Admission, the degradation ladder and the response cache on the whole request path: real HTTP in and out.
#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "gateway/tests/gateway_world.h"

namespace flexpert::gateway {
namespace {

const std::string kGreedy = R"({"model":"m","temperature":0,"messages":[{"role":"user","content":"hi"}]})";
const std::string kChat = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
const std::string kAnswer = R"({"ok":true,"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}})";
const std::string kPath = "/v1/chat/completions";

void answer_at_once(const http::Request&, http::Responder responder) { responder.respond(http::json_response(200, kAnswer)); }

class GatewayAdmissionTest : public GatewayWorld {
 protected:
  /// An upstream that answers when it is told to.
  FakeServer::Script keep() {
    return [this](const http::Request&, http::Responder responder) { kept.push_back(std::move(responder)); };
  }
  void answer_next() {
    ASSERT_FALSE(kept.empty());
    kept.front().respond(http::json_response(200, kAnswer));
    kept.pop_front();
  }
  static std::string field(const Seen& seen, std::string_view name) { return std::string(seen.headers.find(name).value_or("")); }
  static void limit(config::FleetConfig& config, auth::TenantLimits limits) { config.access.rules.default_tenant.limits = limits; }

  std::deque<http::Responder> kept;
};

TEST_F(GatewayAdmissionTest, ATenantOverItsRateIsToldWhenToComeBack) {
  FakeServer upstream(loop, answer_at_once);
  auto config = config_for({&upstream});
  limit(config, {.requests_per_minute = 2});
  start_and_wait(config);
  const auto first = call("POST", kPath, kChat);
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(field(*first, "x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(field(*first, "x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(call("POST", kPath, kChat)->status, 200);
  const auto third = call("POST", kPath, kChat);
  EXPECT_EQ(third->status, 429);
  EXPECT_EQ(field(*third, "Retry-After"), "30");
  EXPECT_EQ(field(*third, "x-ratelimit-remaining-requests"), "0");
  EXPECT_NE(third->body.find(R"("type":"requests","param":null,"code":"rate_limit_exceeded")"), std::string::npos) << third->body;
  EXPECT_EQ(upstream.requests.size(), 2U);
}

TEST_F(GatewayAdmissionTest, TokensAreSettledByWhatTheServerReports) {
  FakeServer upstream(loop, answer_at_once);
  auto config = config_for({&upstream});
  config.gateway.admission.default_max_tokens = 500;
  limit(config, {.tokens_per_minute = 1000});
  start_and_wait(config);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call("POST", kPath, kChat)->status, 200) << "12 tokens each, though 500 and more are reserved";
}

TEST_F(GatewayAdmissionTest, WhatExpertsCostCountsAgainstLimits) {
  FakeServer upstream(loop, answer_at_once);
  auto config = config_for({&upstream});
  config.gateway.admission.default_max_tokens = 5;
  config.access.rules.groups.push_back({.name = "dear", .model = "m", .cost = 30, .slots = {{0, 0}}});
  limit(config, {.tokens_per_minute = 2000});
  start_and_wait(config);
  EXPECT_EQ(call("POST", kPath, kChat)->status, 200);
  const int left = std::stoi(field(*call("GET", "/v1/models", ""), "x-ratelimit-remaining-tokens"));
  EXPECT_GE(left, 2000 - 12 * 30) << "12 tokens, settled";
  EXPECT_LT(left, 2000 - 8 * 30) << "but for what has come back since";
}

TEST_F(GatewayAdmissionTest, WhatExpertsCostCountsAsLoad) {
  FakeServer first(loop, keep()), second(loop, keep());
  for (FakeServer* const server : {&first, &second}) server->models = R"({"object":"list","data":[{"id":"m"},{"id":"plain"}]})";
  auto config = config_for({&first, &second});
  config.gateway.routing.policy = "least_load";
  config.access.rules.groups.push_back({.name = "dear", .model = "m", .cost = 30, .slots = {{0, 0}}});
  start_and_wait(config);
  const auto ready = [this](int i) { return metric(fmt::format("flexpert_gateway_upstream_ready{{upstream=\"up-{}\"}}", i)) == 1; };
  ASSERT_TRUE(until([&] { return ready(0) && ready(1); }));
  const auto dear = send("POST", kPath, kChat);
  ASSERT_TRUE(until([&] { return kept.size() == 1; }));
  FakeServer& other = first.requests.empty() ? first : second;
  for (std::size_t i = 1; i <= 4; ++i) {
    send("POST", kPath, R"({"model":"plain","messages":[{"role":"user","content":"hi"}]})");
    ASSERT_TRUE(until([&] { return kept.size() == i + 1; }));
    EXPECT_EQ(other.requests.size(), i) << "four plain ones weigh less than the dear one";
  }
}

TEST_F(GatewayAdmissionTest, ARequestWaitsForAPlaceAndLeavesTheQueueWithItsClient) {
  FakeServer upstream(loop, keep());
  auto config = config_for({&upstream});
  config.gateway.admission.max_in_flight = 1;
  start_and_wait(config);
  const auto first = send("POST", kPath, kChat);
  ASSERT_TRUE(until([&] { return kept.size() == 1; }));
  const auto second = send("POST", kPath, kChat);
  const auto third = send("POST", kPath, kChat);
  ASSERT_TRUE(until([&] { return metric("flexpert_gateway_queued") == 2; }));
  client.cancel(second->id);
  ASSERT_TRUE(until([&] { return metric("flexpert_gateway_queued") == 1; }));
  answer_next();
  ASSERT_TRUE(until([&] { return first->over() && kept.size() == 1; }));
  answer_next();
  ASSERT_TRUE(until([&] { return third->over(); }));
  EXPECT_EQ(third->status, 200);
  EXPECT_EQ(upstream.requests.size(), 2U) << "who had gone was never sent";
  EXPECT_TRUE(until([&] { return metric("flexpert_gateway_admitted") == 0; }));
}

TEST_F(GatewayAdmissionTest, AFullQueueAndAWaitThatIsTooLongAre503) {
  FakeServer upstream(loop, keep());
  auto config = config_for({&upstream});
  config.gateway.admission.max_in_flight = 1;
  config.gateway.admission.max_queued = 1;
  config.gateway.admission.max_queue_s = 0.1;
  start_and_wait(config);
  const auto first = send("POST", kPath, kChat);
  ASSERT_TRUE(until([&] { return kept.size() == 1; }));
  const auto second = send("POST", kPath, kChat);
  ASSERT_TRUE(until([&] { return metric("flexpert_gateway_queued") == 1; }));
  const auto third = call("POST", kPath, kChat);
  EXPECT_EQ(third->status, 503);
  EXPECT_NE(third->body.find("queue_full"), std::string::npos);
  EXPECT_NE(field(*third, "Retry-After"), "");
  ASSERT_TRUE(until([&] { return second->over(); }));
  EXPECT_EQ(second->status, 503);
  EXPECT_NE(second->body.find("queue_timeout"), std::string::npos);
}

TEST_F(GatewayAdmissionTest, TheLadderCapsAnswersAndSaysSo) {
  FakeServer upstream(loop, keep());
  auto config = config_for({&upstream});
  config.gateway.admission.max_in_flight = 1;
  config.gateway.admission.max_queued = 10;
  config.gateway.admission.degradation = {{.kind = "cap_max_tokens", .enter = 0.1, .leave = 0.05, .hold_s = 60, .max_tokens = 7}};
  start_and_wait(config);
  const auto first = send("POST", kPath, kChat);
  ASSERT_TRUE(until([&] { return kept.size() == 1; }));
  const auto second = send("POST", kPath, kChat);
  ASSERT_TRUE(until([&] { return metric("flexpert_gateway_queued") == 1; }));
  const auto third = send("POST", kPath, R"({"model":"m","max_tokens":100,"messages":[]})");
  const auto modest = send("POST", kPath, R"({"model":"m","max_tokens":5,"messages":[]})");
  ASSERT_TRUE(until([&] { return metric("flexpert_gateway_queued") == 3; }));
  for (std::size_t i = 1; i <= 4; ++i) {
    answer_next();
    ASSERT_TRUE(until([&] { return upstream.requests.size() == std::min<std::size_t>(i + 1, 4); }));
  }
  ASSERT_TRUE(until([&] { return third->over() && modest->over(); }));
  EXPECT_EQ(field(*first, "X-Flexpert-Degraded"), "");
  EXPECT_EQ(field(*third, "X-Flexpert-Degraded"), "cap_max_tokens");
  EXPECT_EQ(field(*modest, "X-Flexpert-Degraded"), "") << "nothing was changed about it";
  EXPECT_EQ(upstream.requests[2].body, R"({"model":"m","max_tokens":7,"messages":[]})");
  EXPECT_EQ(upstream.requests[3].body, R"({"model":"m","max_tokens":5,"messages":[]})");
}

TEST_F(GatewayAdmissionTest, ATenantsAnswersAreAsLongAsItsPolicyAllows) {
  FakeServer upstream(loop, answer_at_once);
  auto config = config_for({&upstream});
  limit(config, {.max_tokens = 50});
  start_and_wait(config);
  const auto seen = call("POST", kPath, R"({"model":"m","max_tokens":100,"messages":[]})");
  EXPECT_EQ(upstream.requests.at(0).body, R"({"model":"m","max_tokens":50,"messages":[]})");
  EXPECT_EQ(field(*seen, "X-Flexpert-Degraded"), "") << "that is no degradation";
}

TEST_F(GatewayAdmissionTest, AnIdenticalRequestIsAnsweredFromTheCache) {
  FakeServer upstream(loop, answer_at_once);
  auto config = config_for({&upstream});
  config.gateway.cache.enabled = true;
  limit(config, {.requests_per_minute = 3, .tokens_per_minute = 10'000});
  start_and_wait(config);
  const auto first = call("POST", kPath, kGreedy);
  EXPECT_EQ(field(*first, "X-Flexpert-Cache"), "miss");
  const std::string left = field(*first, "x-ratelimit-remaining-requests");
  const auto second = call("POST", kPath, " " + kGreedy);
  EXPECT_EQ(field(*second, "X-Flexpert-Cache"), "hit");
  EXPECT_EQ(second->body, kAnswer);
  EXPECT_EQ(field(*second, "x-ratelimit-remaining-requests"), "1") << left;
  EXPECT_EQ(upstream.requests.size(), 1U);
  EXPECT_EQ(field(*call("POST", kPath, kChat), "X-Flexpert-Cache"), "") << "it is not deterministic";
  EXPECT_EQ(call("POST", kPath, kGreedy)->status, 429) << "answers from the cache count as requests";
}

TEST_F(GatewayAdmissionTest, AnswersFromTheCacheWaitForNoPlace) {
  FakeServer upstream(loop, keep());
  auto config = config_for({&upstream});
  config.gateway.cache.enabled = true;
  config.gateway.admission.max_in_flight = 1;
  start_and_wait(config);
  const auto first = send("POST", kPath, kGreedy);
  ASSERT_TRUE(until([&] { return kept.size() == 1; }));
  answer_next();
  ASSERT_TRUE(until([&] { return first->over(); }));
  const auto busy = send("POST", kPath, kChat);
  ASSERT_TRUE(until([&] { return kept.size() == 1; }));
  EXPECT_EQ(field(*call("POST", kPath, kGreedy), "X-Flexpert-Cache"), "hit");
  answer_next();
  ASSERT_TRUE(until([&] { return busy->over(); }));
}

TEST_F(GatewayAdmissionTest, IdenticalRequestsInFlightCostOneComputation) {
  FakeServer upstream(loop, keep());
  auto config = config_for({&upstream});
  config.gateway.cache.enabled = true;
  config.gateway.admission.max_in_flight = 1;
  start_and_wait(config);
  std::vector<std::shared_ptr<Seen>> all;
  for (int i = 0; i < 20; ++i) all.push_back(send("POST", kPath, kGreedy));
  ASSERT_TRUE(until([&] { return kept.size() == 1 && metric("flexpert_gateway_cache_total{outcome=\"miss\"}") == 20; }));
  answer_next();
  ASSERT_TRUE(until([&] { return std::all_of(all.begin(), all.end(), [](const auto& seen) { return seen->over(); }); }));
  for (const auto& seen : all) EXPECT_EQ(seen->body, kAnswer);
  EXPECT_EQ(upstream.requests.size(), 1U);
}

TEST_F(GatewayAdmissionTest, FollowersAreServedThoughTheLeadersClientGoes) {
  FakeServer upstream(loop, keep());
  auto config = config_for({&upstream});
  config.gateway.cache.enabled = true;
  start_and_wait(config);
  const auto leader = send("POST", kPath, kGreedy);
  ASSERT_TRUE(until([&] { return kept.size() == 1; }));
  const auto follower = send("POST", kPath, kGreedy);
  ASSERT_TRUE(until([&] { return metric("flexpert_gateway_cache_total{outcome=\"miss\"}") == 2; }));
  client.cancel(leader->id);
  ASSERT_TRUE(until([&] { return kept.size() == 2; })) << "the follower computes instead";
  kept.pop_front();
  answer_next();
  ASSERT_TRUE(until([&] { return follower->over(); }));
  EXPECT_EQ(follower->status, 200);
}

TEST_F(GatewayAdmissionTest, ErrorsAreNeverKeptAndNeverShared) {
  int answers = 0;
  FakeServer upstream(loop, [&](const http::Request&, http::Responder responder) {
    const bool first = ++answers == 1;
    responder.respond(http::json_response(first ? 400 : 200, first ? R"({"error":{"message":"no"}})" : kAnswer));
  });
  auto config = config_for({&upstream});
  config.gateway.cache.enabled = true;
  start_and_wait(config);
  EXPECT_EQ(call("POST", kPath, kGreedy)->status, 400);
  EXPECT_EQ(call("POST", kPath, kGreedy)->status, 200);
}

}  // namespace
}  // namespace flexpert::gateway
