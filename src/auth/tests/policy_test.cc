#include "auth/policy.h"

#include <algorithm>
#include <limits>

#include <gtest/gtest.h>

namespace flexpert::auth {
namespace {

Role role(std::string name, std::vector<std::string> models, std::vector<std::string> groups = {}, std::vector<std::string> denied = {}) {
  return {.name = std::move(name),
          .models = std::move(models),
          .expert_groups = std::move(groups),
          .denied_expert_groups = std::move(denied),
          .admin = 0};
}

PolicyRules some_rules() {
  PolicyRules rules;
  rules.groups = {{"A", "tiny", SecurityLevel::kStandard, 1, {{0, 1}, {1, 2}}},
                  {"C", "tiny", SecurityLevel::kHigh, 1, {{0, 5}, {0, 5}}},
                  {"D", "tiny", SecurityLevel::kHigh, 2, {{1, 2}}}};
  rules.roles = {role("user", {"tiny", "gpt-*"}), role("premium", {}, {"C"}), role("clinic", {"*"}, {"C", "D"}),
                 role("blocked", {}, {}, {"C"})};
  return rules;
}

std::shared_ptr<const Grant> grant_of(Policy& policy, std::vector<std::string> roles, std::string tenant = "t") {
  return policy.grant({Credential::kApiKey, "key_1", std::move(tenant), std::move(roles)});
}

std::shared_ptr<Policy> compiled(PolicyRules rules) {
  auto policy = Policy::compile(std::move(rules));
  EXPECT_TRUE(policy) << policy.error().message;
  return *policy;
}

std::string error_of(PolicyRules rules) {
  const auto policy = Policy::compile(std::move(rules));
  return policy ? "none" : policy.error().message;
}

TEST(Policy, AHighGroupIsForbiddenToRolesThatDoNotNameIt) {
  const auto policy = compiled(some_rules());
  const auto user = grant_of(*policy, {"user"});
  ASSERT_NE(user->model("tiny"), nullptr);
  EXPECT_EQ(user->model("tiny")->forbidden, ExpertSet({{0, 5}, {1, 2}}));
  EXPECT_TRUE(user->model("tiny")->restricted());
  EXPECT_EQ(grant_of(*policy, {"user", "premium"})->model("tiny")->forbidden, ExpertSet({{1, 2}}));
  EXPECT_FALSE(grant_of(*policy, {"clinic"})->model("tiny")->restricted());
}

TEST(Policy, AStandardGroupThatSharesAnExpertWithAForbiddenOneIsDroppedWhole) {
  const auto policy = compiled(some_rules());
  const auto decision = policy->decide(*grant_of(*policy, {"user", "premium"}), "tiny", {"A", "C", "Z"});
  EXPECT_EQ(decision.dropped, std::vector<std::string>{"A"});
  EXPECT_EQ(decision.allowed, std::vector<std::string>{"C"});
  EXPECT_EQ(decision.unknown, std::vector<std::string>{"Z"});
}

TEST(Policy, DenialWinsOverEveryRolesRight) {
  const auto policy = compiled(some_rules());
  const auto grant = grant_of(*policy, {"clinic", "premium", "blocked"});
  EXPECT_EQ(grant->model("tiny")->forbidden, ExpertSet({{0, 5}}));
  EXPECT_EQ(grant->model("tiny")->groups, (std::vector<std::string>{"A", "D"}));
}

TEST(Policy, AModelsCostIsTheMeanOverItsLayersOfTheExpertsThatMayBeUsed) {
  PolicyRules rules;
  rules.groups = {{"dear", "tiny", SecurityLevel::kHigh, 3, {{0, 3}, {1, 0}, {1, 1}, {1, 2}, {1, 3}}},
                  {"named", "tiny", SecurityLevel::kStandard, 1, {{0, 0}, {0, 3}}},
                  {"cheap", "other", SecurityLevel::kStandard, 0.5, {{7, 0}, {7, 1}}}};
  rules.roles = {role("user", {"*"}), role("clinic", {"*"}, {"dear"})};
  const auto policy = compiled(rules);
  const auto clinic = grant_of(*policy, {"clinic"});
  EXPECT_DOUBLE_EQ(clinic->model("tiny")->cost, ((1 + 1 + 1 + 3) / 4.0 + 3) / 2) << "the dearest of an expert's groups counts";
  EXPECT_DOUBLE_EQ(grant_of(*policy, {"user"})->model("tiny")->cost, 1) << "forbidden experts do not count, nor a layer of nothing else";
  EXPECT_DOUBLE_EQ(clinic->model("other")->cost, 0.5);
  EXPECT_DOUBLE_EQ(clinic->model("ungrouped")->cost, 1);
}

TEST(Policy, PatternsGiveModelsAndAGroupAloneGivesNone) {
  const auto policy = compiled(some_rules());
  const auto user = grant_of(*policy, {"user"});
  EXPECT_NE(user->model("gpt-4o"), nullptr);
  EXPECT_NE(user->model("gpt-"), nullptr);
  EXPECT_EQ(user->model("gpt"), nullptr);
  EXPECT_EQ(user->model("tiny2"), nullptr);
  EXPECT_EQ(user->model(std::string(1 << 20, 'x')), nullptr);
  EXPECT_EQ(grant_of(*policy, {"premium"})->model("tiny"), nullptr);
  EXPECT_NE(grant_of(*policy, {"clinic"})->model(""), nullptr);
}

TEST(Policy, PatternsThatBeginWithEachOtherAreAllFound) {
  PolicyRules rules;
  rules.roles = {role("r", {"a*", "ab*", "abc", "b*", "xyz*", "xyzzy-*"})};
  const auto policy = compiled(rules);
  const auto grant = grant_of(*policy, {"r"});
  for (const char* model : {"a", "ab", "abz", "abc", "abcd", "b", "bb", "xyz", "xyzzy-1", "a\xff"})
    EXPECT_NE(grant->model(model), nullptr) << model;
  for (const char* model : {"", "c", "xy", "A", "w", "zz"}) EXPECT_EQ(grant->model(model), nullptr) << model;
}

TEST(Policy, RolesThatItDoesNotKnowCountForNothing) {
  const auto policy = compiled(some_rules());
  EXPECT_EQ(grant_of(*policy, {"root", "*", ""})->model("tiny"), nullptr);
  EXPECT_EQ(grant_of(*policy, {"user", "root"})->roles, std::vector<std::string>{"user"});
}

TEST(Policy, TheBuiltInRoleHasEveryModelStandardGroupsAndNoAdminRight) {
  const auto policy = compiled(some_rules());
  const auto grant = grant_of(*policy, {"everything"});
  EXPECT_EQ(grant->model("tiny")->forbidden, ExpertSet({{0, 5}, {1, 2}}));
  EXPECT_FALSE(grant->model("anything")->restricted());
  EXPECT_EQ(grant->admin, 0);
}

TEST(Policy, AnonymousCallersHaveTheRulesRolesWhateverTheyName) {
  PolicyRules rules = some_rules();
  const auto closed = compiled(rules);
  EXPECT_EQ(closed->grant({Credential::kNone, "", "anonymous", {"clinic"}})->model("tiny"), nullptr);
  rules.anonymous = true;
  const auto open = compiled(rules);
  EXPECT_EQ(open->grant({Credential::kNone, "", "anonymous", {"clinic"}})->roles, std::vector<std::string>{"everything"});
  rules.anonymous_roles = {"user"};
  EXPECT_EQ(compiled(rules)->grant({Credential::kNone, "", "anonymous", {}})->roles, std::vector<std::string>{"user"});
}

TEST(Policy, AdminRightsAreUnited) {
  PolicyRules rules;
  rules.roles = {role("v", {}), role("k", {})};
  rules.roles[0].admin = static_cast<std::uint8_t>(AdminRight::kView);
  rules.roles[1].admin = static_cast<std::uint8_t>(AdminRight::kKeys);
  const auto policy = compiled(rules);
  const auto both = grant_of(*policy, {"k", "v"});
  EXPECT_TRUE(both->may(AdminRight::kView) && both->may(AdminRight::kKeys));
  EXPECT_FALSE(both->may(AdminRight::kOperate));
  EXPECT_FALSE(grant_of(*policy, {"v"})->may(AdminRight::kKeys));
}

TEST(Policy, ATenantHasItsOwnSettingsOrTheDefaultOnesUnderItsOwnName) {
  PolicyRules rules;
  rules.tenants = {{"acme",
                    {.requests_per_minute = 60, .tokens_per_minute = 0, .concurrency = 0, .queued = 0, .max_tokens = 0},
                    PriorityClass::kCritical,
                    3}};
  rules.default_tenant.limits.requests_per_minute = 6;
  const auto policy = compiled(rules);
  EXPECT_EQ(grant_of(*policy, {}, "acme")->tenant.limits.requests_per_minute, 60U);
  EXPECT_EQ(grant_of(*policy, {}, "other")->tenant.limits.requests_per_minute, 6U);
  EXPECT_EQ(grant_of(*policy, {}, "other")->tenant.name, "other");
}

TEST(Policy, OneGrantIsMadeForATenantAndASetOfRolesInAnyOrder) {
  const auto policy = compiled(some_rules());
  EXPECT_EQ(grant_of(*policy, {"user", "premium"}), grant_of(*policy, {"premium", "user", "user"}));
  EXPECT_NE(grant_of(*policy, {"user"}, "a"), grant_of(*policy, {"user"}, "b"));
  EXPECT_EQ(grant_of(*policy, {"user"}, "a")->models, grant_of(*policy, {"user"}, "b")->models);
  const auto kept = grant_of(*policy, {"user"}, "a");
  for (int i = 0; i < 10'000; ++i) grant_of(*policy, {"user"}, std::to_string(i));
  EXPECT_NE(kept->model("tiny"), nullptr);
}

TEST(Policy, TheDigestFunctionMakesDigestsAndTheRevisionThatFollowsTheRulesAlone) {
  const auto digest = [](std::string_view text) { return std::to_string(std::hash<std::string_view>{}(text)); };
  PolicyRules rules = some_rules();
  const auto policy = *Policy::compile(rules, digest);
  const std::string revision = policy->rules().revision;
  EXPECT_FALSE(revision.empty());
  EXPECT_EQ(grant_of(*policy, {"user"})->model("tiny")->digest.find(' '), std::string::npos);
  std::reverse(rules.roles.begin(), rules.roles.end());
  EXPECT_EQ((*Policy::compile(rules, digest))->rules().revision, revision);
  rules.roles[0].models.push_back("x");
  EXPECT_NE((*Policy::compile(rules, digest))->rules().revision, revision);
}

TEST(Policy, NoNameCanPassForSeveralInTheCanonicalText) {
  PolicyRules one, two;
  one.roles = {role("r", {"a", "b"})};
  two.roles = {role("r", {"a 1:b"})};
  EXPECT_NE(canonical_text(one), canonical_text(two));
}

TEST(Policy, MistakesAreNamed) {
  const auto with = [](auto change) {
    PolicyRules rules = some_rules();
    change(rules);
    return error_of(std::move(rules));
  };
  EXPECT_NE(with([](auto& r) { r.roles[0].expert_groups = {"X"}; }).find("role user: there is no expert group X"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.roles[0].denied_expert_groups = {"Y"}; }).find("no expert group Y"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.roles[1].name = "user"; }).find("role user: given twice"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.roles[1].name = "everything"; }).find("built in"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.roles[0].models = {"a*b"}; }).find("\"a*b\""), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.roles[0].models = {""}; }).find("without a name"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.groups[1].slots.clear(); }).find("expert group C of model tiny: no expert"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.groups[1].name = "A"; }).find("given twice"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.groups[1].cost = std::numeric_limits<double>::quiet_NaN(); }).find("cost"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.tenants = {{"t", {}, PriorityClass::kStandard, 0}}; }).find("tenant t: weight 0"), std::string::npos);
  EXPECT_NE(with([](auto& r) { r.anonymous_roles = {"nobody"}; }).find("no role nobody"), std::string::npos);
  EXPECT_NE(with([](auto& r) {
              r.roles[0].admin = 1;
              r.anonymous_roles = {"user"};
            }).find("admin rights"),
            std::string::npos);
}

}  // namespace
}  // namespace flexpert::auth
