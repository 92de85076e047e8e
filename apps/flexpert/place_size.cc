#include <algorithm>
#include <numeric>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "flexpert/place.h"
#include "flexpert/place_counts.h"
#include "flexpert/place_json.h"
#include "flexpert/place_outcome.h"
#include "flexpert/place_screen.h"
#include "flexpert/place_writer.h"
#include "placement/sizing.h"
#include "report/placement_tables.h"
#include "report/sparkline.h"

namespace flexpert::app {

namespace {

ExpertCluster cluster_of_plan(const ExpertLayout& layout, std::uint32_t nodes) {
  ExpertCluster cluster = ExpertCluster::uniform(layout.devices(), nodes, 0);
  for (std::uint32_t d = 0; d < layout.devices(); ++d) cluster.devices[d].slots = layout.slots_of_device[d];
  return cluster;
}

/// How many fewer slots the uneven layout has, as a share.
double saving(const placement::Sizing& sizing) {
  return sizing.uniform_slots == 0 ? 0 : 1 - static_cast<double>(sizing.redundant_slots) / static_cast<double>(sizing.uniform_slots);
}

report::Table layers_by_need(const placement::Sizing& sizing, std::size_t most) {
  std::vector<std::uint32_t> order(sizing.redundant.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return sizing.redundant[a] > sizing.redundant[b]; });
  const std::uint32_t top = order.empty() ? 0 : sizing.redundant[order[0]];
  report::Table table(
      {{"layer", report::Align::kRight}, {"redundant slots", report::Align::kRight}, {""}, {"balancedness", report::Align::kRight}});
  for (std::size_t i = 0; i < std::min(most, order.size()); ++i)
    table.add_row({std::to_string(order[i]), std::to_string(sizing.redundant[order[i]]),
                   report::bar(top == 0 ? 0 : static_cast<double>(sizing.redundant[order[i]]) / top, 24),
                   report::balancedness_text(sizing.plan.balance.layers[order[i]].balancedness())});
  return table;
}

void print_sizing(const ExpertCounts& counts, const placement::Sizing& sizing, const PlaceOptions& options) {
  say("{}\n{} GPUs, target balancedness {}\n\n", describe(counts), *options.cluster.devices, options.target);
  report::Table table({{"layers have"},
                       {"redundant slots", report::Align::kRight},
                       {"a layer", report::Align::kRight},
                       {"balancedness", report::Align::kRight}});
  const auto [least, most] = std::minmax_element(sizing.redundant.begin(), sizing.redundant.end());
  table.add_row({"what each needs", report::grouped(sizing.redundant_slots),
                 *least == *most ? std::to_string(*most) : fmt::format("{} to {}", *least, *most),
                 report::balancedness_text(sizing.balancedness)});
  table.add_row({"the same number", report::grouped(sizing.uniform_slots), std::to_string(sizing.uniform_redundant),
                 report::balancedness_text(sizing.uniform_balancedness)});
  print_table(table);
  if (sizing.uniform_slots > 0)
    say("\n{} fewer redundant slots than the same number in every layer.\n", report::percent_text(saving(sizing)));
  if (!sizing.reached) say("The target is not reached within the limit: raise --max-redundant or lower --target.\n");
  if (options.rows == 0) return;
  print_title("Layers that need most");
  print_table(layers_by_need(sizing, options.rows));
}

Result<void> size(const PlaceOptions& options) {
  FLEXPERT_ASSIGN(const ExpertCounts counts, read_counts(options.counts, options));
  const std::uint32_t devices = *options.cluster.devices;
  const std::uint32_t nodes = options.cluster.nodes.value_or(1);
  if (devices % nodes != 0)
    return fail(ErrorCode::kInvalidArgument, "--nodes {}: {} devices do not divide into as many equal parts", nodes, devices);
  FLEXPERT_ASSIGN(const placement::Sizing sizing, placement::size_slots(counts, devices, nodes, {options.target, options.max_redundant}));
  const ExpertCluster cluster = cluster_of_plan(sizing.plan.layout, nodes);
  if (!options.output.empty()) FLEXPERT_TRY(write_plan(options.output, options.format, sizing.plan, cluster, counts, options));
  if (!options.html.empty()) {
    const report::PlacementPage page{"Slots for a balancedness",
                                     {{"counts", options.counts + ": " + describe(counts)},
                                      {"cluster", describe(cluster)},
                                      {"target", fmt::format("{}", options.target)},
                                      {"redundant slots", fmt::format("{} by need, {} with the same number in every layer",
                                                                      sizing.redundant_slots, sizing.uniform_slots)}},
                                     layout_before(std::nullopt, cluster, counts)};
    FLEXPERT_TRY(write_page(options.html, sizing.plan, cluster, counts, page));
  }
  if (options.json) {
    boost::json::object out{{"reached", sizing.reached},
                            {"balancedness", sizing.balancedness},
                            {"redundant_slots", sizing.redundant_slots},
                            {"uniform_slots", sizing.uniform_slots},
                            {"uniform_redundant", sizing.uniform_redundant},
                            {"uniform_balancedness", sizing.uniform_balancedness},
                            {"saving", saving(sizing)}};
    out["redundant"] = boost::json::array(sizing.redundant.begin(), sizing.redundant.end());
    print_json(out);
  } else if (options.output != "-" && options.html != "-") {
    print_sizing(counts, sizing, options);
    if (!options.output.empty()) say("\nplan: {}\n", options.output);
    if (!options.html.empty()) say("report: {}\n", options.html);
  }
  return {};
}

}  // namespace

int run_place_size(const PlaceOptions& options) {
  if (!options.format.empty() && options.output.empty())
    return fail_with("place size", "--format is that of the file of -o: name it", kExitUsage);
  if (options.json && options.output == "-")
    return fail_with("place size", "--json and -o - both write to stdout: give one of them", kExitUsage);
  if (auto sized = size(options); !sized) return fail_with("place size", sized.error());
  return kExitOk;
}

}  // namespace flexpert::app
