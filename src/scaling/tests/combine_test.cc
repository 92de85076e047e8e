#include "scaling/combine.h"

#include <gtest/gtest.h>

namespace flexpert::scaling {
namespace {

NamedProposal says(std::string name, CombineRule rule, std::optional<std::uint32_t> replicas, bool may_shrink = true) {
  NamedProposal out{std::move(name), rule, {}};
  out.proposal.replicas = replicas;
  out.proposal.may_shrink = may_shrink;
  out.proposal.reasons.push_back({"because_" + out.name, "", {}});
  return out;
}

using enum CombineRule;

TEST(Combine, TheLargestThenFloorsThenCeilings) {
  EXPECT_EQ(combine(std::vector{says("a", kMax, 3), says("b", kMax, 5)}, 4, 0).wanted, 5U);
  EXPECT_EQ(combine(std::vector{says("a", kMax, 3), says("f", kFloor, 6), says("g", kFloor, 2)}, 4, 0).wanted, 6U);
  EXPECT_EQ(combine(std::vector{says("a", kMax, 9), says("c", kCeiling, 7), says("d", kCeiling, 8)}, 4, 0).wanted, 7U);
  EXPECT_EQ(combine(std::vector{says("a", kMax, 1), says("f", kFloor, 6), says("c", kCeiling, 2)}, 4, 0).wanted, 2U);
}

TEST(Combine, ReasonsSayWhichPolicyDecided) {
  const auto largest = combine(std::vector{says("a", kMax, 3), says("b", kMax, 5)}, 4, 0);
  EXPECT_EQ(largest.decided_by, "b");
  EXPECT_EQ(largest.reasons.front().code, "because_b");
  const auto raised = combine(std::vector{says("a", kMax, 3), says("f", kFloor, 6)}, 4, 0);
  EXPECT_EQ(raised.decided_by, "f");
  EXPECT_EQ(raised.reasons.front().text, "floor f moves 3 to 6");
  EXPECT_EQ(raised.reasons.back().code, "because_a");
}

TEST(Combine, WithoutAnOpinionTheCountStays) {
  const auto none = combine(std::vector{says("a", kMax, std::nullopt), says("f", kFloor, 2)}, 4, 0);
  EXPECT_EQ(none.wanted, 4U);
  EXPECT_EQ(none.reasons.front().code, "no_opinion");
  EXPECT_EQ(combine(std::vector{says("f", kFloor, 6)}, 4, 0).wanted, 6U);
  EXPECT_EQ(combine({}, 4, 0).wanted, 4U);
}

TEST(Combine, MissingDataOfAnyPolicyBlocksShrinkingNotGrowing) {
  const auto blocked = combine(std::vector{says("a", kMax, 2), says("blind", kMax, std::nullopt, false)}, 4, 0);
  EXPECT_EQ(blocked.wanted, 4U);
  EXPECT_FALSE(blocked.may_shrink);
  EXPECT_EQ(blocked.reasons.front().text, "blind lacks data, so 4 stay");
  EXPECT_EQ(combine(std::vector{says("a", kMax, 6), says("blind", kMax, std::nullopt, false)}, 4, 0).wanted, 6U);
}

TEST(Combine, ACeilingThatLacksNothingLowersAlsoWhereAnotherIsBlind) {
  const auto lowered = combine(std::vector{says("blind", kMax, std::nullopt, false), says("night", kCeiling, 2)}, 4, 0);
  EXPECT_EQ(lowered.wanted, 2U);
  EXPECT_TRUE(lowered.may_shrink);
  EXPECT_EQ(combine(std::vector{says("a", kMax, 9), says("blind", kCeiling, 2, false)}, 4, 0).wanted, 9U);
}

TEST(Combine, KeepLeavesTheHysteresisFree) {
  auto exact = says("a", kMax, 3);
  exact.proposal.exact = 2.8;
  EXPECT_EQ(combine(std::vector{exact}, 4, 0.1).keep, 4U);
  exact.proposal.exact = 2.7;
  EXPECT_EQ(combine(std::vector{exact}, 4, 0.1).keep, 3U);
  EXPECT_EQ(combine(std::vector{says("whole", kMax, 3)}, 4, 0.1).keep, 3U);
}

}  // namespace
}  // namespace flexpert::scaling
