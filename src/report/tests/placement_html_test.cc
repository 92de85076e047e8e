#include "report/placement_html.h"

#include <regex>

#include <gtest/gtest.h>

#include "report/placement_data.h"
#include "placement_page.h"

namespace flexpert::report {
namespace {

std::string html_of(const SmallPlan& small) { return placement_html(small.plan, small.cluster, small.counts, small.page); }

TEST(PlacementHtml, HasHeadlineFiguresMapsBoundAndMoves) {
  const std::string html = html_of(SmallPlan());
  for (const char* part : {"balancedness (mean)", "1.0000", "id=\"gpus-after\"", "id=\"experts-after\"", "proven bound", "id=\"move-rows\"",
                           "within the node 1 (8.33 %)", "swaps brought the busiest GPU down", "loads.json"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(html.find("id=\"gpus-before\""), std::string::npos);
}

TEST(PlacementHtml, ShowsWhatWasBeforeBesideThePlan) {
  SmallPlan small;
  small.page.before = PlacementBefore{"in force", small.plan.layout, small.plan.balance};
  small.page.before->balance.balancedness = 0.8;
  const std::string html = html_of(small);
  for (const char* part : {"id=\"gpus-before\"", "id=\"experts-before\"", "before 0.8000", "25.0 %", "Before: in force"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
}

TEST(PlacementHtml, NoTextOfTheUserBecomesMarkup) {
  SmallPlan small;
  const std::string attack = "</script><script>alert(1)</script>\"'<img src=x>";
  small.page.title = attack;
  small.page.facts = {{attack, attack}};
  small.plan.mode = attack;
  small.plan.reasons = {{attack, attack, {}}};
  small.page.before = PlacementBefore{attack, small.plan.layout, small.plan.balance};
  const std::string html = html_of(small);
  EXPECT_EQ(html.find("alert(1)</script>"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_NE(html.find("&lt;/script&gt;"), std::string::npos);
}

TEST(PlacementHtml, AsksForNothingOutsideItself) {
  const std::string html = html_of(SmallPlan());
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  EXPECT_FALSE(std::regex_search(html, std::regex("(src|href)=|@import|url\\(|https?://|fetch\\(|XMLHttpRequest")));
}

TEST(PlacementHtml, DataHoldsLoadsLayoutsAndMovesAsNumbers) {
  SmallPlan small;
  const std::string data = placement_data(small.plan, small.cluster, small.counts, small.page);
  EXPECT_NE(data.find("\"loads\":[40,20,10,10,10,10,10,10]"), std::string::npos) << data;
  EXPECT_NE(data.find("\"after\":{\"slots\":[3,3],\"map\":[0,1,2,0,3,1,0,1,2,3,0,1]}"), std::string::npos) << data;
  EXPECT_NE(data.find("\"before\":null"), std::string::npos) << data;
  EXPECT_NE(data.find("\"moves\":[[0,4,1,3,1,2],[1,3,0,3,3,0]]"), std::string::npos) << data;
}

}  // namespace
}  // namespace flexpert::report
