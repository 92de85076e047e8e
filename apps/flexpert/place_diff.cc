#include <boost/json.hpp>
#include <fmt/format.h>

#include "flexpert/place.h"
#include "flexpert/place_cluster.h"
#include "flexpert/place_counts.h"
#include "flexpert/place_json.h"
#include "flexpert/place_layout.h"
#include "flexpert/place_outcome.h"
#include "flexpert/place_screen.h"
#include "placement/balance.h"
#include "placement/moves.h"
#include "report/placement_tables.h"

namespace flexpert::app {

namespace {

struct Pair {
  PlaceLayout from;
  PlaceLayout to;
  ExpertCluster cluster;
};

/// "trivial" on one side takes its shape from the other.
Result<Pair> read_pair(const PlaceOptions& options) {
  Pair pair;
  const bool trivial_from = options.layout == "trivial";
  PlaceLayout& known = trivial_from ? pair.to : pair.from;
  PlaceLayout& other = trivial_from ? pair.from : pair.to;
  FLEXPERT_ASSIGN(known, read_layout(trivial_from ? options.other : options.layout, options, std::nullopt));
  if (trivial_from || options.other == "trivial") {
    other = {"trivial", trivial_layout(known.layout.geometry, known.layout.slots_of_device), std::nullopt, "", "", ""};
  } else {
    PlaceOptions shape = options;  // a form that does not say its devices has those of the other
    if (!shape.cluster.devices && shape.cluster.device_slots.empty()) shape.cluster.devices = known.layout.devices();
    FLEXPERT_ASSIGN(other, read_layout(options.other, shape, known.layout.geometry));
  }
  if (pair.from.layout.slots_of_device != pair.to.layout.slots_of_device)
    return fail(
        ErrorCode::kInvalidArgument,
        "the layouts have different slots: {} devices with {} slots in all, and {} with {}; only layouts of the same slots can be compared",
        pair.from.layout.devices(), pair.from.layout.slots(), pair.to.layout.devices(), pair.to.layout.slots());
  const ExpertCluster* cluster = pair.to.cluster ? &*pair.to.cluster : pair.from.cluster ? &*pair.from.cluster : nullptr;
  FLEXPERT_ASSIGN(pair.cluster, cluster_of(options.cluster, {known.layout.geometry, &known.layout, cluster}));
  FLEXPERT_TRY(placement::check_match(pair.to.layout, pair.cluster,
                                      ExpertCounts{known.layout.geometry, std::vector<double>(known.layout.geometry.size()), 0}));
  return pair;
}

Result<void> diff(const PlaceOptions& options) {
  FLEXPERT_ASSIGN(const Pair pair, read_pair(options));
  const MoveList moves = placement::moves_between(pair.from.layout, pair.to.layout, pair.cluster, options.bytes_per_expert);
  std::optional<std::pair<Balance, Balance>> balance;
  if (!options.counts.empty()) {
    FLEXPERT_ASSIGN(const ExpertCounts counts, read_counts(options.counts, options));
    FLEXPERT_TRY(placement::check_match(pair.to.layout, pair.cluster, counts));
    balance.emplace(placement::balance_of(living_part(pair.from.layout, pair.cluster), pair.cluster, counts),
                    placement::balance_of(living_part(pair.to.layout, pair.cluster), pair.cluster, counts));
  }
  if (options.json) {
    boost::json::object out = moves_json(moves, pair.to.layout);
    if (balance) out["before"] = balance_json(balance->first, false);
    if (balance) out["after"] = balance_json(balance->second, false);
    print_json(out);
    return {};
  }
  say("from {}\nto   {}\n{}\n\n", pair.from.name, pair.to.name, describe(pair.cluster));
  print_table(report::move_kinds_table(moves));
  if (moves.bytes > 0) say("{} travel\n", report::bytes_text(moves.bytes));
  if (balance) {
    print_title("Balance");
    print_table(report::balance_table(balance->second, &balance->first, "from", "to"));
  }
  if (options.rows > 0 && !moves.moves.empty()) {
    print_title(fmt::format("The first {} of {} moves, in an order that can be carried out",
                            std::min<std::size_t>(options.rows, moves.moves.size()), moves.moves.size()));
    print_table(report::moves_table(moves, pair.to.layout, options.rows));
  }
  return {};
}

}  // namespace

int run_place_diff(const PlaceOptions& options) {
  if (options.layout == "trivial" && options.other == "trivial")
    return fail_with("place diff", "at least one of FROM and TO must be a layout that says its shape", kExitUsage);
  if (auto compared = diff(options); !compared) return fail_with("place diff", compared.error());
  return kExitOk;
}

}  // namespace flexpert::app
