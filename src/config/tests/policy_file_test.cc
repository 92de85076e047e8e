#include <gtest/gtest.h>

#include "auth/policy.h"
#include "config/policy_reader.h"

namespace flexpert::config {
namespace {

std::string message_of(const std::string& text) {
  const auto rules = parse_policy(text, "p.yaml");
  return rules ? "no error" : rules.error().message;
}

TEST(PolicyFile, EveryFieldIsRead) {
  const auto rules = parse_policy(R"(
expert_groups:
  - {name: medical, model: tiny, security: high, cost: 2.5, layers: ["1-3", 5], experts: [7, 0-1]}
  - {name: A, model: tiny, layer: 4, experts: [1]}
  - {name: A, model: other, slots: [[0, 1], {layers: [2], experts: [3]}]}
roles:
  clinic:
    models: [tiny, "gpt-*", "*"]
    expert_groups: [medical]
    denied_expert_groups: [A]
    admin: [view, keys]
tenants:
  "Acme, Inc.": {requests_per_minute: 60, tokens_per_minute: 5000000000, concurrency: 4, queued: 8, max_tokens: 100, priority: critical, weight: 2}
default_tenant: {requests_per_minute: 6, priority: sheddable}
)",
                                  "p.yaml");
  ASSERT_TRUE(rules) << rules.error().message;
  ASSERT_EQ(rules->groups.size(), 3U);
  EXPECT_EQ(rules->groups[0].slots.size(), 12U);
  EXPECT_EQ(rules->groups[0].level, auth::SecurityLevel::kHigh);
  EXPECT_EQ(rules->groups[0].cost, 2.5);
  EXPECT_EQ(rules->groups[2].slots, (std::vector<ExpertSlot>{{0, 1}, {2, 3}}));
  ASSERT_EQ(rules->roles.size(), 1U);
  EXPECT_EQ(rules->roles[0].models.size(), 3U);
  EXPECT_EQ(rules->roles[0].denied_expert_groups, std::vector<std::string>{"A"});
  EXPECT_EQ(rules->roles[0].admin, 5);
  ASSERT_EQ(rules->tenants.size(), 1U);
  EXPECT_EQ(rules->tenants[0].name, "Acme, Inc.");
  EXPECT_EQ(rules->tenants[0].limits, (auth::TenantLimits{60, 5'000'000'000, 4, 8, 100}));
  EXPECT_EQ(rules->tenants[0].priority, auth::PriorityClass::kCritical);
  EXPECT_EQ(rules->tenants[0].weight, 2);
  EXPECT_EQ(rules->default_tenant.priority, auth::PriorityClass::kSheddable);
  EXPECT_TRUE(auth::Policy::compile(*rules));
}

TEST(PolicyFile, AnEmptyFileIsAPolicyWithoutRules) {
  EXPECT_TRUE(parse_policy("", "p.yaml"));
  EXPECT_TRUE(parse_policy("roles:\ntenants:\nexpert_groups:\n", "p.yaml"));
}

TEST(PolicyFile, GroupsOfTheBaseMayBeNamed) {
  auth::PolicyRules base;
  base.groups = {{"C", "tiny", auth::SecurityLevel::kHigh, 1, {{0, 1}}}};
  EXPECT_TRUE(parse_policy("roles: {a: {expert_groups: [C]}}\n", "p.yaml", base));
  EXPECT_EQ(message_of("roles: {a: {expert_groups: [C]}}\n"),
            "p.yaml:1: roles.a.expert_groups: there is no group C; allowed: names from expert_groups and model.groups");
  EXPECT_FALSE(parse_policy("expert_groups: [{name: C, model: tiny, slots: [[1, 1]]}]\n", "p.yaml", base));
}

TEST(PolicyFile, ManyGroupsOfWholeModelsAreRefusedBeforeTheyFillMemory) {
  std::string text = "expert_groups:\n";
  for (int i = 0; i < 5; ++i) text += fmt::format("  - {{name: g{}, model: m, layers: [0-63], experts: [0-1023]}}\n", i);
  const std::string message = message_of(text);
  EXPECT_TRUE(message.starts_with("p.yaml:6: expert_groups[4].experts[0]: the file's groups have too many experts")) << message;
}

struct Case {
  const char* text;
  const char* message;
};

TEST(PolicyFile, WhatCannotBeIsSaidWithItsLine) {
  const Case cases[] = {
      {"rolls: {}\n", "p.yaml:1: rolls: unknown key, the nearest known one is \"roles\""},
      {"roles: [a]\n", "p.yaml:1: roles: a list is given; allowed: a mapping of role to rights"},
      {"roles:\n  everything: {}\n", "p.yaml:2: roles.everything: this role is built in"},
      {"roles:\n  \"a b\": {}\n", "p.yaml:2: roles.a b: this cannot name a role"},
      {"roles:\n  token:x: {}\n", "p.yaml:2: roles.token:x: this cannot name a role"},
      {"roles:\n  a: {models: [\"a*b\"]}\n", "p.yaml:2: roles.a.models: \"a*b\" has a * that is not at its end"},
      {"roles:\n  a: {admin: [root]}\n", "p.yaml:2: roles.a.admin[0]: root is given; allowed: view, operate, keys, register"},
      {"roles:\n  a: {denied_expert_groups: [x]}\n", "p.yaml:2: roles.a.denied_expert_groups: there is no group x"},
      {"roles:\n  a: {}\n  a: {}\n", "p.yaml:3: the key \"a\" is given twice, first on line 2"},
      {"expert_groups:\n  - {name: a, slots: [[0, 0]]}\n", "p.yaml:2: expert_groups[0].model: the key is missing"},
      {"expert_groups:\n  - {name: a, model: m}\n", "p.yaml:2: expert_groups[0].slots: the key is missing"},
      {"expert_groups:\n  - {name: a, model: m, cost: 0, slots: [[0, 0]]}\n", "p.yaml:2: expert_groups[0].cost: 0 is out of range"},
      {"expert_groups:\n  - {name: a, model: m, layer: 1, layers: [2], experts: [0]}\n", "expert_groups[0].layers: layer is given, too"},
      {"expert_groups:\n  - {name: a, model: m, layers: [3-1], experts: [0]}\n",
       "expert_groups[0].layers[0]: 3-1 is given; allowed: a whole number, or FIRST-LAST"},
      {"expert_groups:\n  - {name: a, model: m, layers: [0-1023], experts: [0-65535]}\n",
       "expert_groups[0].experts[0]: the file's groups have too many experts"},
      {"expert_groups:\n  - {name: a, model: m, slots: [[0, 0]]}\n  - {name: a, model: m, slots: [[0, 1]]}\n",
       "p.yaml:3: expert_groups[1].name: a group a of model m is already given"},
      {"tenants:\n  t: {weight: 0}\n", "p.yaml:2: tenants.t.weight: 0 is out of range; allowed: a number over 0"},
      {"tenants:\n  t: {priority: high}\n", "p.yaml:2: tenants.t.priority: high is given; allowed: critical, standard, sheddable"},
      {"tenants:\n  \"a\\tb\": {}\n", "this cannot name a tenant"},
      {"default_tenant: 5\n", "p.yaml:1: default_tenant: 5 is given; allowed: a mapping"},
  };
  for (const Case& c : cases)
    EXPECT_NE(message_of(c.text).find(c.message), std::string::npos) << "wanted: " << c.message << "\n   got: " << message_of(c.text);
}

}  // namespace
}  // namespace flexpert::config
