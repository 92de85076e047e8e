#include "gateway/grant_signer.h"

#include <gtest/gtest.h>

namespace flexpert::gateway {
namespace {

const std::string kSecret(40, 's');

class GrantSignerTest : public testing::Test {
 protected:
  GrantSignerTest() {
    auth::PolicyRules rules;
    rules.revision = "rev-7";
    rules.groups = {{.name = "secret", .model = "tiny", .level = auth::SecurityLevel::kHigh, .slots = {{0, 1}, {2, 3}}}};
    rules.roles = {{.name = "staff", .models = {"tiny"}, .expert_groups = {"secret"}, .denied_expert_groups = {}},
                   {.name = "guest", .models = {"tiny"}, .expert_groups = {}, .denied_expert_groups = {}}};
    rules.tenants = {{.name = "acme", .limits = {}, .priority = auth::PriorityClass::kCritical}};
    auto compiled = auth::Policy::compile(std::move(rules), [](std::string_view text) { return crypto::sha256_hex(text); });
    EXPECT_TRUE(compiled) << compiled.error().message;
    policy_ = *compiled;
  }
  Caller caller(const std::string& role) {
    Caller made;
    made.identity = {.credential = auth::Credential::kApiKey, .id = "k1", .tenant = "acme", .roles = {role}};
    made.grant = policy_->grant(made.identity);
    made.policy_revision = policy_->rules().revision;
    return made;
  }
  std::string value(const Caller& caller, std::string_view id = "req-1", std::string_view body = "{}") {
    std::string out = "before";
    const auto ok = signer_.append(out, caller, "tiny", {.request_id = id, .body_sha256 = crypto::sha256(body), .unix_ms = 5000,
        .deadline_unix_ms = 9000});
    EXPECT_TRUE(ok);
    EXPECT_TRUE(out.starts_with("before"));
    return out.substr(6);
  }
  static codec::InternalGrant opened(const std::string& value) {
    const auto split = codec::split_internal_grant(value);
    EXPECT_TRUE(split && crypto::HmacKey(kSecret).verify(split->payload, split->signature));
    auto grant = codec::parse_internal_grant(split ? split->payload : "");
    EXPECT_TRUE(grant);
    return grant ? *grant : codec::InternalGrant{};
  }

  std::shared_ptr<auth::Policy> policy_;
  GrantSigner signer_{kSecret, Seconds(30)};
};

TEST_F(GrantSignerTest, SaysWhatTheCallerMayDoWithThisRequest) {
  const Caller guest = caller("guest");
  const codec::InternalGrant grant = opened(value(guest));
  EXPECT_EQ(grant.rights.tenant, "acme");
  EXPECT_EQ(grant.rights.model, "tiny");
  EXPECT_EQ(grant.rights.policy_revision, "rev-7");
  EXPECT_EQ(grant.rights.rights_digest, guest.grant->model("tiny")->digest);
  EXPECT_EQ(grant.rights.forbidden, ExpertSet({{0, 1}, {2, 3}}));
  EXPECT_EQ(grant.request_id, "req-1");
  EXPECT_EQ(grant.body_sha256, crypto::sha256(std::string_view("{}")));
  EXPECT_EQ(grant.expires_unix_ms, 5000 + 60'000);
  EXPECT_EQ(grant.deadline_unix_ms, 9000);
  EXPECT_EQ(grant.priority, 0);
}

TEST_F(GrantSignerTest, ARequestHasToBeBegunWhileSomebodyWaitsForIt) {
  const crypto::Digest digest = crypto::sha256(std::string_view("{}"));
  std::string out;
  ASSERT_TRUE(signer_.append(out, caller("guest"), "tiny", {.request_id = "r", .body_sha256 = digest, .unix_ms = 5000}));
  EXPECT_EQ(opened(out).deadline_unix_ms, 35'000);
  GrantSigner patient(kSecret);
  out.clear();
  ASSERT_TRUE(patient.append(out, caller("guest"), "tiny", {.request_id = "r", .body_sha256 = digest, .unix_ms = 5000}));
  EXPECT_EQ(opened(out).deadline_unix_ms, 0);
}

TEST_F(GrantSignerTest, KeepsCallersAndRequestsApart) {
  const Caller guest = caller("guest");
  const Caller staff = caller("staff");
  const std::string first = value(guest);
  EXPECT_TRUE(opened(value(staff)).rights.forbidden.empty());
  EXPECT_EQ(value(guest), first);
  EXPECT_NE(value(guest, "req-2"), first);
  EXPECT_NE(value(guest, "req-1", "{ }"), first);
  EXPECT_EQ(opened(value(guest, "req-2")).rights.forbidden, ExpertSet({{0, 1}, {2, 3}}));
}

TEST_F(GrantSignerTest, RefusesWhatTheCallerMayNotUseOrAFieldCannotHold) {
  std::string out = "x";
  const auto no_right = signer_.append(out, caller("guest"), "other", {.request_id = "r"});
  ASSERT_FALSE(no_right);
  EXPECT_EQ(no_right.error().code, ErrorCode::kPermissionDenied);
  EXPECT_FALSE(signer_.append(out, Caller{}, "tiny", {.request_id = "r"}));
  const std::string long_id(70'000, 'i');
  EXPECT_EQ(signer_.append(out, caller("guest"), "tiny", {.request_id = long_id}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(out, "x");
}

TEST_F(GrantSignerTest, AProbeNamesNoModel) {
  const codec::InternalGrant grant = opened(signer_.for_probe(1000));
  EXPECT_EQ(grant.rights, codec::InternalGrantRights{});
  EXPECT_EQ(grant.expires_unix_ms, 61'000);
}

}  // namespace
}  // namespace flexpert::gateway
