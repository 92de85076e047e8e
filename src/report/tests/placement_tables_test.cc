#include "report/placement_tables.h"

#include <gtest/gtest.h>

#include "report/placement_chart.h"
#include "placement_page.h"

namespace flexpert::report {
namespace {

TEST(PlacementTables, BalancednessNeverRoundsUpToEven) {
  EXPECT_EQ(balancedness_text(1), "1.0000");
  EXPECT_EQ(balancedness_text(0.99999), "0.9999");
  EXPECT_EQ(balancedness_text(0.98), "0.9800");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(123), "123");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(12), "12 B");
}

TEST(PlacementTables, BalanceHasAColumnOfWhatWasBefore) {
  Balance now;
  now.layers.resize(1);
  now.balancedness = 0.9987;
  Balance then = now;
  then.balancedness = 0.6311;
  const std::string both = balance_table(now, &then, "in force").text(200, false);
  EXPECT_NE(both.find("in force"), std::string::npos) << both;
  EXPECT_NE(both.find("0.6311"), std::string::npos) << both;
  const std::string alone = balance_table(now, nullptr).text(200, false);
  EXPECT_NE(alone.find("0.9987"), std::string::npos) << alone;
  then.layers.clear();
  EXPECT_EQ(balance_table(now, &then).text(200, false), alone);
}

TEST(PlacementTables, MovesNameLayerGpuExpertsAndHow) {
  SmallPlan small;
  small.plan.moves.moves.push_back({1, 5, 1, kEmptySlot, MoveKind::kSameDevice, 0});
  const std::string text = moves_table(small.plan.moves, small.plan.layout, 10).text(200, false);
  EXPECT_NE(text.find("same node"), std::string::npos) << text;
  EXPECT_NE(text.find("from storage"), std::string::npos) << text;
  EXPECT_NE(text.find("freed"), std::string::npos) << text;
  EXPECT_EQ(moves_table(small.plan.moves, small.plan.layout, 1).rows(), 1U);
  EXPECT_NE(move_kinds_table(small.plan.moves).text(200, false).find("8.33 %"), std::string::npos);
}

TEST(PlacementTables, LeastEvenLayersComeFirst) {
  Balance balance;
  balance.layers = {{10, 10, 10, 0, 0}, {10, 20, 10, 3, 0}, {0, 0, 0, 0, 0}};
  const auto lines = layers_table(balance, 2).lines(200, false);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_NE(lines[1].find("0.5000"), std::string::npos) << lines[1];
  EXPECT_EQ(replicas_table(SmallPlan().plan.layout).rows(), 2U);
}

TEST(PlacementChart, EveryLayerHasADotATickAndAHint) {
  SmallPlan small;
  small.plan.balance.layers[1].max_load = 25;
  const std::string svg = balance_chart(small.plan.balance, &small.plan.balance);
  EXPECT_NE(svg.find("<title>layer 1: plan 0.8000, bound 1.0000, before 0.8000</title>"), std::string::npos) << svg;
  EXPECT_NE(svg.find("class=\"before\""), std::string::npos);
  EXPECT_EQ(balance_chart(small.plan.balance, nullptr).find("class=\"before\""), std::string::npos);
  EXPECT_TRUE(balance_chart(Balance{}, nullptr).empty());
}

}  // namespace
}  // namespace flexpert::report
