#include "placement/explain.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "placement/balance.h"

namespace flexpert::placement {
namespace {

/// Two hosts of one device with 3 slots: expert 0 on both, 1 and 2 on device 0, 3 and a second 1 on device 1.
struct Case {
  PlacementPlan plan;
  ExpertCluster cluster = ExpertCluster::uniform(2, 2, 3);
  ExpertCounts counts{{1, 4}, {12, 4, 2, 2}, 0};

  explicit Case(std::vector<std::int32_t> row) {
    plan.layout = {{1, 4}, {3, 3}, std::move(row)};
    plan.balance = balance_of(plan.layout, cluster, counts);
  }
  [[nodiscard]] Reason reason(std::uint32_t expert, const std::string& code) const {
    for (Reason& reason : explain_expert(plan, cluster, counts, {0, expert}))
      if (reason.code == code) return reason;
    return {};
  }
};

double number(const Reason& reason, const std::string& name) {
  for (const auto& [key, value] : reason.numbers)
    if (key == name) return value;
  return -1;
}

TEST(Explain, SaysHowMuchLoadAndWhichRank) {
  const Case given({0, 1, 2, 0, 3, 1});
  const Reason load = given.reason(0, "load");
  EXPECT_EQ(load.text, "expert 0 of layer 0 got 12 tokens: number 1 of 4 in its layer, 60.00 % of the load, 2.40 times the mean expert");
  EXPECT_EQ(number(load, "rank"), 1);
  EXPECT_EQ(number(given.reason(3, "load"), "rank"), 4);
  EXPECT_EQ(number(given.reason(0, "replicas"), "load_per_replica"), 6);
}

TEST(Explain, SaysWhatOneFewerWouldDo) {
  const Case given({0, 1, 2, 0, 3, 1});  // 10 and 10
  const Reason fewer = given.reason(0, "one_fewer");
  EXPECT_EQ(number(fewer, "max_load_then"), 16);
  EXPECT_NE(fewer.text.find("would go from 10 to 16 (+60.0 %)"), std::string::npos) << fewer.text;
  EXPECT_EQ(number(given.reason(2, "one_fewer"), "possible"), 0);
}

TEST(Explain, SaysWhereOneMoreWouldGo) {
  const Case given({0, 1, 2, 3, 1, -1});  // 16 and 4
  const Reason more = given.reason(0, "one_more");
  EXPECT_NE(more.text.find("in an empty slot of device 1, the busiest device would go from 16 to 10"), std::string::npos) << more.text;
  EXPECT_EQ(given.reason(0, "could_gain").code, "could_gain");
}

TEST(Explain, SaysThatOneMoreHasNoPlace) {
  const Case given({0, 1, 2, 0, 3, -1});
  EXPECT_NE(given.reason(0, "one_more").text.find("beside a replica of its own"), std::string::npos);
}

TEST(Explain, SaysWhereItIsAndWhetherALossIsSurvived) {
  const Case given({0, 1, 2, 0, 3, 1});
  EXPECT_EQ(given.reason(0, "devices").text, "on devices 0 and 1, hosts 0 and 1: it outlives the loss of any one host");
  EXPECT_EQ(given.reason(2, "devices").text, "on device 0, host 0: lost with that host");
}

TEST(Explain, SaysThatTheBoundLeavesNothing) {
  const Case given({0, 1, 2, 0, 3, 1});
  EXPECT_EQ(number(given.reason(0, "at_bound"), "over_bound"), 0);
}

TEST(Explain, SaysThatThereAreNoSpareSlots) {
  PlacementPlan plan;
  const ExpertCluster cluster = ExpertCluster::uniform(2, 1, 2);
  const ExpertCounts counts{{1, 4}, {30, 30, 10, 10}, 0};
  plan.layout = {{1, 4}, {2, 2}, {0, 1, 2, 3}};  // 60 and 20, where 40 and 40 could be
  const Reason limit = explain_expert(plan, cluster, counts, {0, 0}).back();
  EXPECT_EQ(limit.code, "slots_limit");
  EXPECT_EQ(number(limit, "lower_bound"), 40);
}

TEST(Explain, ALayerWithoutLoadIsSaidToHaveNone) {
  PlacementPlan plan;
  plan.layout = {{1, 2}, {1, 1}, {0, 1}};
  const auto reasons = explain_expert(plan, ExpertCluster::uniform(2, 1, 1), {{1, 2}, {0, 0}, 0}, {0, 1});
  EXPECT_EQ(reasons.front().code, "no_load");
  EXPECT_EQ(reasons.back().code, "no_limit");
}

TEST(Explain, AnExpertThatIsNotThereIsNamed) {
  const Case given({0, 1, 2, 0, 3, 1});
  EXPECT_EQ(given.reason(9, "unknown_expert").text,
            "no layer 0 expert 9 here: the plan has layers 0 to 0 and experts 0 to 3, and needs counts and devices of its own");
  const Case lost({0, 1, 2, 0, 1, -1});
  EXPECT_EQ(lost.reason(3, "not_placed").code, "not_placed");
}

TEST(Explain, DeadDevicesServeNothing) {
  ExpertCluster cluster = ExpertCluster::uniform(3, 3, 1);
  cluster.devices[2].alive = false;
  PlacementPlan plan;
  plan.layout = {{1, 3}, {1, 1, 1}, {0, 1, 2}};
  const ExpertCounts counts{{1, 3}, {4, 2, 90}, 0};
  EXPECT_EQ(explain_expert(plan, cluster, counts, {0, 2}).back().code, "not_placed");
  const Reason limit = explain_expert(plan, cluster, counts, {0, 0}).back();
  EXPECT_DOUBLE_EQ(number(limit, "max_load"), 4);
  EXPECT_LE(number(limit, "lower_bound"), 4);
}

}  // namespace
}  // namespace flexpert::placement
