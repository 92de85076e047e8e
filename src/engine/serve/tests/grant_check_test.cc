// What a model server with a secret takes, and what it does with it.
#include <array>

#include "base/base64url.h"
#include "codec/internal_grant.h"
#include "crypto/digest.h"
#include "crypto/hmac_key.h"
#include "engine/serve/tests/http_front_fixture.h"

namespace flexpert::engine {
namespace {

const std::string kSecret(40, 's');

class GrantCheckTest : public HttpFrontTest {
 protected:
  GrantCheckTest() : HttpFrontTest(kSecret) {}

  [[nodiscard]] codec::InternalGrant grant_for(std::string_view body, ExpertSet forbidden = {}) const {
    codec::InternalGrant grant;
    grant.rights = {.tenant = "acme", .model = "tiny", .policy_revision = "r1", .rights_digest = std::to_string(forbidden.slots().size()),
        .forbidden = std::move(forbidden)};
    grant.request_id = "req-1";
    grant.body_sha256 = crypto::sha256(body);
    grant.expires_unix_ms = clock_.unix_ms() + 60'000;
    return grant;
  }
  static std::string signed_value(const codec::InternalGrant& grant, const std::string& secret = kSecret) {
    const std::string payload = *codec::internal_grant_payload(grant);
    return codec::internal_grant_value(payload, crypto::HmacKey(secret).sign(payload));
  }
  Answer send(const std::string& method, const std::string& path, const std::string& body, const std::vector<std::pair<std::string,
      std::string>>& fields) {
    http::Request request{.method = method, .target = path, .headers = http::Headers(fields), .body = body};
    auto response = http::fetch(address_, std::move(request), Seconds(60));
    if (!response) return {.status = 0, .headers = {}, .body = response.error().message};
    return {.status = response->status, .headers = std::move(response->headers), .body = std::move(response->body)};
  }
  Answer send(const std::string& method, const std::string& path, const std::string& body, const std::string& value) {
    return send(method, path, body, {{"X-Flexpert-Grant", value}});
  }
  /// Sends a chat that the engine answers; returns what the engine was asked.
  GenerationRequest served(const std::string& body, const std::string& value) {
    auto waiting = std::async(std::launch::async, [&] { return send("POST", "/v1/chat/completions", body, value); });
    const auto submitted = engine_.wait_for_request(++served_);
    EXPECT_TRUE(submitted.sink);
    if (submitted.sink) end(submitted);
    EXPECT_EQ(waiting.get().status, 200);
    return submitted.request;
  }

  std::size_t served_ = 0;
};

TEST_F(GrantCheckTest, TakesWhatTheGatewaySignedAndHandsOnItsRights) {
  const std::string body = chat();
  codec::InternalGrant grant = grant_for(body, ExpertSet({{0, 1}, {1, 3}}));
  grant.deadline_unix_ms = clock_.unix_ms() + 30'000;
  const GenerationRequest request = served(body, signed_value(grant));
  ASSERT_TRUE(request.mask);
  EXPECT_FALSE(request.mask->allows({1, 3}));
  EXPECT_TRUE(request.mask->allows({1, 1}));
  ASSERT_TRUE(request.deadline);
  EXPECT_LE(*request.deadline - clock_.now(), Seconds(35)) << "and the leeway";
  EXPECT_GT(*request.deadline - clock_.now(), Seconds(20));
  EXPECT_EQ(served(body, signed_value(grant)).mask, request.mask) << "the same rights have the same mask; a replay is harmless";
  EXPECT_FALSE(served(body, signed_value(grant_for(body))).mask);
}

TEST_F(GrantCheckTest, WhatNobodyWaitsForAnyMoreIsNotBegun) {
  const std::string body = chat();
  codec::InternalGrant grant = grant_for(body);
  grant.deadline_unix_ms = clock_.unix_ms() - 6'000;
  auto waiting = std::async(std::launch::async, [&] { return send("POST", "/v1/chat/completions", body, signed_value(grant)); });
  const auto submitted = engine_.wait_for_request(1);
  ASSERT_TRUE(submitted.request.deadline);
  EXPECT_LE(*submitted.request.deadline, clock_.now());
  submitted.sink->on_finish(FinishReason::kError, {}, {}, Error{ErrorCode::kDeadlineExceeded, "the request's deadline passed"});
  const Answer answer = waiting.get();
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.error("code"), "timeout");
}

TEST_F(GrantCheckTest, AnswersEveryFaultAlike) {
  const std::string body = chat();
  const codec::InternalGrant good = grant_for(body);
  codec::InternalGrant expired = good;
  expired.expires_unix_ms = clock_.unix_ms() - 5'500;
  codec::InternalGrant other_model = good;
  other_model.rights.model = "other";
  codec::InternalGrant no_model = good;
  no_model.rights.model.clear();
  std::string flipped = signed_value(good);
  flipped.back() = flipped.back() == 'A' ? 'E' : 'A';
  const std::string value = signed_value(good);
  const std::vector<std::vector<std::pair<std::string, std::string>>> bad = {
      {},
      {{"X-Flexpert-Grant", ""}},
      {{"X-Flexpert-Grant", value}, {"x-flexpert-grant", value}},
      {{"X_Flexpert_Grant", value}},
      {{"X-Flexpert-Grant", flipped}},
      {{"X-Flexpert-Grant", value + "A"}},
      {{"X-Flexpert-Grant", value.substr(0, value.rfind('.'))}},
      {{"X-Flexpert-Grant", signed_value(good, std::string(40, 't'))}},
      {{"X-Flexpert-Grant", signed_value(grant_for(body + " "))}},
      {{"X-Flexpert-Grant", signed_value(expired)}},
      {{"X-Flexpert-Grant", signed_value(other_model)}},
      {{"X-Flexpert-Grant", signed_value(no_model)}},
  };
  std::string first;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    const Answer answer = send("POST", "/v1/chat/completions", body, bad[i]);
    EXPECT_EQ(answer.status, 401) << i;
    EXPECT_EQ(answer.error("code"), "invalid_grant");
    EXPECT_TRUE(answer.headers.find("WWW-Authenticate"));
    if (first.empty()) first = answer.body;
    EXPECT_EQ(answer.body, first) << "no hint of what is wrong";
  }
  codec::InternalGrant just_expired = good;
  just_expired.expires_unix_ms = clock_.unix_ms() - 3'000;
  served(body, signed_value(just_expired));
}

TEST_F(GrantCheckTest, GuardsWhatComputesAndTheNamesOnly) {
  for (const auto& [method, path] : {std::pair("POST", "/v1/chat/completions"), {"POST", "/v1/completions"}, {"POST", "/internal/experts"},
      {"POST", "/tokenize"},
                                     {"GET", "/v1/models"}, {"GET", "/v1/models/tiny"}})
    EXPECT_EQ(send(method, path, "", std::vector<std::pair<std::string, std::string>>{}).status, 401) << path;
  for (const char* path : {"/health", "/ready", "/metrics", "/internal/status", "/internal/expert-loads", "/internal/routing-table",
      "/internal/resources"})
    EXPECT_EQ(get(path).status, 200) << path;
  put_instances();
  EXPECT_EQ(send("GET", "/v1/models", "", signed_value(grant_for(""))).status, 200);
  codec::InternalGrant probe = grant_for("");
  probe.rights = {};
  EXPECT_EQ(send("GET", "/v1/models", "", signed_value(probe)).status, 200);
  EXPECT_EQ(send("POST", "/v1/completions", "", signed_value(probe)).status, 401) << "a probe's grant allows nothing else";
}

TEST_F(GrantCheckTest, RefusesRightsThatLeaveALayerNothingBeforeAnythingIsComputed) {
  const std::string body = chat();
  for (const ExpertSet& forbidden : {ExpertSet({{1, 0}, {1, 1}, {1, 2}, {1, 3}}), ExpertSet({{7, 0}})}) {
    const Answer answer = send("POST", "/v1/chat/completions", body, signed_value(grant_for(body, forbidden)));
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(answer.error("code"), "no_expert_allowed");
  }
  EXPECT_TRUE(served(body, signed_value(grant_for(body, ExpertSet({{1, 1}, {1, 2}, {1, 3}})))).mask)
      << "nothing before it reached the engine";
}

TEST_F(GrantCheckTest, RunsNoForbiddenSlotForACallOfExperts) {
  put_instances();
  const auto calls = [](int first, int second) {
    return fmt::format(R"({{"token_id":7,"calls":[{{"name":"A","instance":"expert-0","slots":[[0,{}]]}},{{"name":"B","instance":"expert-0","slots":[[0,1],[0,{}]]}}]}})", first, second);
  };
  const ExpertSet forbidden({{0, 2}, {1, 0}, {1, 1}, {1, 2}, {1, 3}});
  const auto run = [&](const std::string& body) { return send("POST", "/internal/experts", body, signed_value(grant_for(body, forbidden)));
      };
  EXPECT_EQ(run(calls(0, 3)).status, 200);
  const Answer answer = run(calls(0, 2));
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.error("code"), "expert_forbidden");
  EXPECT_EQ(answer.error("param"), "calls[1].slots");
  EXPECT_EQ(run(calls(2, 3)).status, 403);
}

TEST_F(GrantCheckTest, TakesRightsOfManyExperts) {
  std::vector<ExpertSlot> slots;
  for (std::uint32_t layer = 0; layer < 3500; ++layer) slots.push_back({layer * 7, layer});
  const std::string body = chat();
  codec::InternalGrant grant = grant_for(body, ExpertSet(std::move(slots)));
  ASSERT_GT(codec::internal_grant_payload(grant)->size(), 32'768U);
  EXPECT_EQ(send("POST", "/v1/chat/completions", body, signed_value(grant)).status, 403) << "read, and found to be of another model";
}

class StandAlone : public HttpFrontTest {};

TEST_F(StandAlone, AServerWithoutASecretServesButOverlooksNoRestriction) {
  codec::InternalGrant grant;
  grant.rights.model = "tiny";
  const auto value = [&] {
    const std::string payload = *codec::internal_grant_payload(grant);
    return codec::internal_grant_value(payload, {});
  };
  const auto models = [&](const std::string& text) {
    http::Request request{.method = "POST", .target = "/v1/completions", .headers = http::Headers({{"X-Flexpert-Grant", text}}),
        .body = "no JSON"};
    return http::fetch(address_, std::move(request), Seconds(60))->status;
  };
  EXPECT_EQ(models(value()), 400) << "let in, and told what is wrong with it";
  grant.rights.forbidden = ExpertSet({{0, 1}});
  EXPECT_EQ(models(value()), 403);
  EXPECT_EQ(models("rubbish"), 403);
  EXPECT_EQ(post("/v1/completions", "no JSON").status, 400);
}

}  // namespace
}  // namespace flexpert::engine
