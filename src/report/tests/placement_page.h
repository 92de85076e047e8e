#pragma once

#include "report/placement_html.h"

namespace flexpert::report {

/// Two layers of four experts on two GPUs of three slots: a plan, what was before, and the loads.
struct SmallPlan {
  ExpertCluster cluster = ExpertCluster::uniform(2, 1, 3);
  ExpertCounts counts{{2, 4}, {40, 20, 10, 10, 10, 10, 10, 10}, 20};
  PlacementPlan plan;
  PlacementPage page;

  SmallPlan() {
    plan.mode = "quality";
    plan.layout = {{2, 4}, {3, 3}, {0, 1, 2, 0, 3, 1, 0, 1, 2, 3, 0, 1}};
    plan.balance.layers = {{40, 40, 40, 0, 0}, {20, 20, 20, 1, 0}};
    plan.moves.moves = {{0, 4, 1, 3, MoveKind::kSameNode, 2}, {1, 3, 0, 3, MoveKind::kLoad, 0}};
    plan.moves.unchanged = 10;
    plan.moves.same_node = 1;
    plan.moves.load = 1;
    plan.reasons = {{"refined", "swaps brought the busiest GPU down", {}}};
    page.title = "Placement of <loads.json>";
    page.facts = {{"counts", "loads.json"}};
  }
};

}  // namespace flexpert::report
