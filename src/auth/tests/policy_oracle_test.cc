// The policy against a reference that was written from the rules' text alone and shares no code with it.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "auth/policy.h"
#include "base/rng.h"

namespace flexpert::auth {
namespace {

constexpr unsigned kGroups = 6;
constexpr unsigned kPrincipals = 8;
constexpr std::uint32_t kLayers = 3;
constexpr std::uint32_t kExperts = 8;

std::string group_name(unsigned i) { return std::string(1, static_cast<char>('A' + i)); }

/// Does one role, read by itself, cover the model? (The reference's own reading of patterns.)
bool reference_covers(const std::string& pattern, const std::string& model) {
  if (pattern == "*") return true;
  if (pattern.back() == '*') return model.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0;
  return pattern == model;
}

struct Reference {
  const PolicyRules& rules;
  std::vector<const Role*> roles;

  [[nodiscard]] bool has_model(const std::string& model) const {
    for (const Role* role : roles)
      for (const std::string& pattern : role->models)
        if (reference_covers(pattern, model)) return true;
    return false;
  }
  [[nodiscard]] bool group_forbidden(const ExpertGroup& group) const {
    bool named = false;
    for (const Role* role : roles) {
      for (const std::string& denied : role->denied_expert_groups)
        if (denied == group.name) return true;
      for (const std::string& right : role->expert_groups) named = named || right == group.name;
    }
    return group.level == SecurityLevel::kHigh && !named;
  }
  [[nodiscard]] bool expert_forbidden(const std::string& model, ExpertSlot slot) const {
    for (const ExpertGroup& group : rules.groups)
      if (group.model == model && std::count(group.slots.begin(), group.slots.end(), slot) > 0 && group_forbidden(group)) return true;
    return false;
  }
  [[nodiscard]] bool may_execute(const ExpertGroup& group) const {
    if (!has_model(group.model)) return false;
    for (const ExpertSlot slot : group.slots)
      if (expert_forbidden(group.model, slot)) return false;
    return true;
  }
};

PolicyRules random_rules(Rng& rng) {
  static const std::vector<std::vector<std::string>> kPatterns{{"*"}, {"m"}, {"m*"}, {"mo*", "x"}, {"other"}, {}, {"m", "*"}, {"model-*"}};
  PolicyRules rules;
  for (unsigned i = 0; i < kGroups; ++i) {
    ExpertGroup group{.name = group_name(i),
                      .model = i < 5 ? "m" : "model-2",
                      .level = rng.below(2) == 0 ? SecurityLevel::kHigh : SecurityLevel::kStandard,
                      .cost = 1,
                      .slots = {}};
    for (std::uint64_t n = 1 + rng.below(4); n > 0; --n)
      group.slots.push_back({static_cast<std::uint32_t>(rng.below(kLayers)), static_cast<std::uint32_t>(rng.below(kExperts))});
    rules.groups.push_back(std::move(group));
  }
  for (unsigned i = 0; i < 6; ++i) {
    Role role{.name = "r" + std::to_string(i),
              .models = kPatterns[rng.below(kPatterns.size())],
              .expert_groups = {},
              .denied_expert_groups = {},
              .admin = 0};
    for (unsigned g = 0; g < kGroups; ++g) {
      if (rng.below(3) == 0) role.expert_groups.push_back(group_name(g));
      if (rng.below(8) == 0) role.denied_expert_groups.push_back(group_name(g));
    }
    rules.roles.push_back(std::move(role));
  }
  return rules;
}

struct Principal8 {
  Identity identity;
  Reference reference;
};

std::vector<Principal8> principals_of(const PolicyRules& rules, Rng& rng) {
  std::vector<Principal8> all;
  for (unsigned p = 0; p < kPrincipals; ++p) {
    Principal8 one{{Credential::kApiKey, "key", "t", {"unknown-role"}}, {rules, {}}};
    const std::uint64_t held = rng.below(1u << rules.roles.size());
    for (unsigned r = 0; r < rules.roles.size(); ++r) {
      if ((held >> r & 1) == 0) continue;
      one.identity.roles.push_back(rules.roles[r].name);
      one.reference.roles.push_back(&rules.roles[r]);
    }
    all.push_back(std::move(one));
  }
  return all;
}

void expect_same(const Policy& policy, const Grant& grant, const Reference& reference) {
  const PolicyRules& rules = policy.rules();
  for (const std::string model : {"m", "model-2", "model-3", "mo", "x", "other", "", "zzz"}) {
    const ModelRight* right = grant.model(model);
    ASSERT_EQ(right != nullptr, reference.has_model(model)) << model;
    if (right == nullptr) continue;
    for (std::uint32_t layer = 0; layer < kLayers; ++layer)
      for (std::uint32_t expert = 0; expert < kExperts; ++expert)
        ASSERT_EQ(right->forbidden.contains({layer, expert}), reference.expert_forbidden(model, {layer, expert}))
            << model << layer << expert;
    for (unsigned subset = 0; subset < 1u << kGroups; ++subset) {
      std::vector<std::string> requested, allowed, dropped, unknown;
      for (unsigned g = 0; g < kGroups; ++g) {
        if ((subset >> g & 1) == 0) continue;
        requested.push_back(group_name(g));
        (rules.groups[g].model != model ? unknown : reference.may_execute(rules.groups[g]) ? allowed : dropped).push_back(group_name(g));
      }
      const GroupDecision decision = policy.decide(grant, model, requested);
      ASSERT_EQ(decision.allowed, allowed);
      ASSERT_EQ(decision.dropped, dropped);
      ASSERT_EQ(decision.unknown, unknown);
    }
  }
}

TEST(PolicyOracle, EverySubsetOfSixGroupsForEightPrincipalsIsAsTheReferenceSays) {
  Rng rng(42);
  for (int round = 0; round < 12; ++round) {
    PolicyRules rules = random_rules(rng);
    const auto policy = Policy::compile(rules);
    ASSERT_TRUE(policy) << policy.error().message;
    for (const Principal8& one : principals_of(rules, rng))
      ASSERT_NO_FATAL_FAILURE(expect_same(**policy, *(*policy)->grant(one.identity), one.reference));
  }
}

TEST(PolicyOracle, EqualDigestsMeanEqualRightsAndDifferentRightsDifferentDigests) {
  Rng rng(7);
  for (int round = 0; round < 40; ++round) {
    PolicyRules rules = random_rules(rng);
    const auto policy = Policy::compile(rules);
    ASSERT_TRUE(policy);
    std::vector<std::shared_ptr<const Grant>> grants;
    for (const Principal8& one : principals_of(rules, rng)) grants.push_back((*policy)->grant(one.identity));
    for (const auto& a : grants) {
      for (const auto& b : grants) {
        const ModelRight *left = a->model("m"), *right = b->model("m");
        if (left == nullptr || right == nullptr) continue;
        EXPECT_EQ(left->digest == right->digest, left->forbidden == right->forbidden && left->groups == right->groups);
      }
    }
  }
}

}  // namespace
}  // namespace flexpert::auth
