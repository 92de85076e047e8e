#include <boost/json.hpp>
#include <fmt/format.h>

#include "flexpert/place.h"
#include "flexpert/place_cluster.h"
#include "flexpert/place_counts.h"
#include "flexpert/place_json.h"
#include "flexpert/place_layout.h"
#include "flexpert/place_screen.h"
#include "placement/balance.h"
#include "placement/explain.h"

namespace flexpert::app {

namespace {

Result<void> explain(const PlaceOptions& options) {
  std::optional<ExpertCounts> counts;
  if (!options.counts.empty()) {
    FLEXPERT_ASSIGN(counts, read_counts(options.counts, options));
  }
  FLEXPERT_ASSIGN(PlaceLayout read, read_layout(options.layout, options, counts ? std::optional(counts->geometry) : std::nullopt));
  if (!counts) {
    FLEXPERT_ASSIGN(counts, counts_behind(read, options));
  }
  FLEXPERT_ASSIGN(const ExpertCluster cluster,
                  cluster_of(options.cluster, {counts->geometry, &read.layout, read.cluster ? &*read.cluster : nullptr}));
  FLEXPERT_TRY(placement::check_match(read.layout, cluster, *counts));
  const ExpertSlot expert{options.layer, options.expert};
  if (!counts->geometry.contains(expert))
    return fail(ErrorCode::kInvalidArgument, "--layer {} --expert {}: layers are 0 to {}, experts 0 to {}", expert.layer, expert.expert,
                counts->geometry.layers - 1, counts->geometry.experts - 1);
  PlacementPlan plan;
  plan.mode = read.mode;
  plan.layout = living_part(std::move(read.layout), cluster);
  plan.balance = placement::balance_of(plan.layout, cluster, *counts);
  const std::vector<Reason> reasons = placement::explain_expert(plan, cluster, *counts, expert);
  if (options.json)
    print_json({{"layer", expert.layer}, {"expert", expert.expert}, {"reasons", reasons_json(reasons)}});
  else
    print_reasons(reasons);
  return {};
}

}  // namespace

int run_place_explain(const PlaceOptions& options) {
  if (auto explained = explain(options); !explained) return fail_with("place explain", explained.error());
  return kExitOk;
}

}  // namespace flexpert::app
