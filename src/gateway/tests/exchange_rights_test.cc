// Rights down to the expert on the request path: who may be sent where, and what servers are told.
#include <cstdlib>
#include <filesystem>

#include "codec/internal_grant.h"
#include "crypto/digest.h"
#include "crypto/hmac_key.h"
#include "crypto/secret_file.h"
#include "gateway/tests/gateway_world.h"

namespace flexpert::gateway {
namespace {

const std::string kChat = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";

/// Callers without credentials may use `m`, but not its group `secret`.
class ExchangeRightsTest : public GatewayWorld {
 protected:
  ~ExchangeRightsTest() override {
    std::error_code error;
    std::filesystem::remove(secret_file, error);
  }
  config::FleetConfig restricted_config(const std::vector<FakeServer*>& upstreams) {
    auto config = config_for(upstreams);
    config.access.rules.groups.push_back({.name = "secret", .model = "m", .level = auth::SecurityLevel::kHigh, .slots = {{0, 1}, {3, 2}}});
    return config;
  }
  void make_secret(config::FleetConfig& config) {
    char path[] = "/tmp/flexpert-secret-XXXXXX";
    ASSERT_GE(::mkstemp(path), 0);
    std::filesystem::remove(path);
    secret_file = path;
    ASSERT_TRUE(crypto::ensure_secret_file(secret_file));
    config.access.internal_secret_file = secret_file;
  }
  std::string secret_file;
};

TEST_F(ExchangeRightsTest, AForeignEngineIsClosedToACallerWithRestrictedRights) {
  FakeServer foreign(loop, answer_ok);
  auto config = restricted_config({&foreign});
  ASSERT_NO_FATAL_FAILURE(make_secret(config));
  start_and_wait(config);
  const auto seen = call("POST", "/v1/chat/completions", kChat);
  EXPECT_EQ(seen->status, 403);
  EXPECT_NE(seen->body.find(R"("code":"expert_masking_unavailable")"), std::string::npos) << seen->body;
  EXPECT_TRUE(foreign.requests.empty());
  EXPECT_EQ(call("GET", "/v1/models/m")->status, 200);
}

TEST_F(ExchangeRightsTest, WithoutASecretNobodyWithRestrictedRightsIsServed) {
  FakeServer own(loop, answer_ok);
  auto config = restricted_config({&own});
  config.upstreams[0].flexpert = true;
  start_and_wait(config);
  EXPECT_EQ(call("POST", "/v1/chat/completions", kChat)->status, 403);
  EXPECT_TRUE(own.requests.empty());
}

TEST_F(ExchangeRightsTest, OurOwnServersAreToldSignedWhatTheCallerMustNotUse) {
  FakeServer own(loop, answer_ok);
  FakeServer foreign(loop, answer_ok);
  auto config = restricted_config({&own, &foreign});
  config.upstreams[0].flexpert = true;
  config.gateway.upstream_timeout_s = 45;
  ASSERT_NO_FATAL_FAILURE(make_secret(config));
  start_and_wait(config);
  ASSERT_TRUE(until([&] { return metric(R"(flexpert_gateway_upstream_ready{upstream="up-0"})") == 1; }));
  http::Headers headers;
  headers.add("X-Flexpert-Grant", "v1.forged.forged");
  headers.add("x_flexpert_grant", "v1.forged.forged");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call("POST", "/v1/chat/completions", kChat, headers)->status, 200);
  ASSERT_EQ(own.requests.size(), 3U);
  EXPECT_TRUE(foreign.requests.empty());
  const auto split = codec::split_internal_grant(own.requests[0].headers.find("X-Flexpert-Grant").value_or(""));
  ASSERT_TRUE(split) << split.error().message;
  EXPECT_TRUE(crypto::HmacKey(*crypto::read_secret_file(secret_file)).verify(split->payload, split->signature));
  const auto grant = codec::parse_internal_grant(split->payload);
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_EQ(grant->rights.model, "m");
  EXPECT_EQ(grant->rights.tenant, "anonymous");
  EXPECT_EQ(grant->rights.forbidden, ExpertSet({{0, 1}, {3, 2}}));
  EXPECT_EQ(grant->body_sha256, crypto::sha256(std::string_view(kChat)));
  EXPECT_EQ(grant->deadline_unix_ms, grant->expires_unix_ms - 60'000 + 45'000) << "after that nobody waits for an answer";
  EXPECT_EQ(grant->request_id, own.requests[0].headers.find("X-Request-Id"));
  std::size_t grants = 0;
  for (const auto& [name, value] : own.requests[0].headers.fields()) grants += value.find("forged") != std::string::npos ? 1 : 0;
  EXPECT_EQ(grants, 0U);
}

TEST_F(ExchangeRightsTest, WhoMayUseEveryExpertMayUseForeignEnginesAndTheyAreToldNothing) {
  FakeServer foreign(loop, answer_ok);
  auto config = config_for({&foreign});
  ASSERT_NO_FATAL_FAILURE(make_secret(config));
  start_and_wait(config);
  EXPECT_EQ(call("POST", "/v1/chat/completions", kChat)->status, 200);
  ASSERT_EQ(foreign.requests.size(), 1U);
  EXPECT_FALSE(foreign.requests[0].headers.find("X-Flexpert-Grant"));
}

}  // namespace
}  // namespace flexpert::gateway
