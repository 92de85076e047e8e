#include "auth/group_policy.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace flexpert::auth {
namespace {

const std::vector<GroupPolicy> kGroups{{"A", SecurityLevel::kStandard}, {"B", SecurityLevel::kStandard}, {"C", SecurityLevel::kHigh},
                                       {"D", SecurityLevel::kHigh}};

TEST(GroupPolicy, EverybodyMayUseStandardGroups) {
  const GroupDecision decision = authorise({}, kGroups, {"A", "B"});
  EXPECT_EQ(decision.allowed, (std::vector<std::string>{"A", "B"}));
  EXPECT_TRUE(decision.dropped.empty());
}

TEST(GroupPolicy, HighSecurityNeedsAPrincipalThatNamesTheGroup) {
  EXPECT_TRUE(authorise({}, kGroups, {"C"}).refused());
  EXPECT_TRUE(authorise({"basic", {"D"}}, kGroups, {"C"}).refused());
  EXPECT_EQ(authorise({"premium", {"C"}}, kGroups, {"C"}).allowed, std::vector<std::string>{"C"});
}

TEST(GroupPolicy, ForbiddenGroupsAreDroppedAndNamed) {
  const GroupDecision decision = authorise({}, kGroups, {"A", "C"});
  EXPECT_EQ(decision.allowed, std::vector<std::string>{"A"});
  EXPECT_EQ(decision.dropped, std::vector<std::string>{"C"});
  EXPECT_FALSE(decision.refused());
}

TEST(GroupPolicy, AnAnonymousPrincipalWithGroupsHasNone) {
  EXPECT_TRUE(authorise({"", {"C"}}, kGroups, {"C"}).refused());
}

TEST(GroupPolicy, EveryRequestedSubsetIsPartitionedAndHighNeverLeaksForAnyGrant) {
  const std::vector<std::string> names{"A", "B", "C", "D", "X"};
  for (unsigned granted = 0; granted < 32; ++granted) {
    for (const bool named : {false, true}) {
      Principal principal{named ? "p" : "", {}};
      for (unsigned i = 0; i < 5; ++i)
        if (granted >> i & 1) principal.groups.push_back(names[i]);
      for (unsigned subset = 0; subset < 32; ++subset) {
        std::vector<std::string> requested;
        for (unsigned i = 0; i < 5; ++i)
          if (subset >> i & 1) requested.push_back(names[i]);
        const GroupDecision decision = authorise(principal, kGroups, requested);
        std::vector<std::string> all = decision.allowed;
        all.insert(all.end(), decision.dropped.begin(), decision.dropped.end());
        all.insert(all.end(), decision.unknown.begin(), decision.unknown.end());
        std::sort(all.begin(), all.end());
        ASSERT_EQ(all, requested);
        for (unsigned i = 0; i < 5; ++i) {
          const bool asked = subset >> i & 1;
          const bool may = i < 2 || (i < 4 && named && (granted >> i & 1));
          ASSERT_EQ(std::count(decision.allowed.begin(), decision.allowed.end(), names[i]), asked && may ? 1 : 0);
        }
        ASSERT_EQ(decision.refused(), decision.allowed.empty());
      }
    }
  }
}

TEST(AccessTokens, ADigestFindsItsPrincipalAndAnyOtherNobody) {
  const std::string first(64, 'a');
  std::string second = first;
  second.back() = 'b';
  const AccessTokens tokens({{"one", first, {"C"}}, {"two", second, {"D"}}});
  EXPECT_EQ(tokens.identify(first).name, "one");
  EXPECT_EQ(tokens.identify(second).name, "two");
  EXPECT_EQ(tokens.identify(second).groups, std::vector<std::string>{"D"});
  EXPECT_TRUE(tokens.identify(std::string(64, 'c')).anonymous());
  EXPECT_TRUE(tokens.identify(first.substr(1)).anonymous());
  EXPECT_TRUE(tokens.identify("").anonymous());
}

TEST(AccessTokens, EqualityHoldsForEverySinglePositionOfDifference) {
  const std::string digest(64, '7');
  EXPECT_TRUE(equal_in_constant_time(digest, digest));
  for (std::size_t i = 0; i < digest.size(); ++i) {
    std::string other = digest;
    other[i] = '6';
    EXPECT_FALSE(equal_in_constant_time(digest, other)) << i;
  }
}

}  // namespace
}  // namespace flexpert::auth
