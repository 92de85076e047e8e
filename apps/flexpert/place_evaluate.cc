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
#include "placement/robust.h"
#include "report/placement_tables.h"

namespace flexpert::app {

namespace {

struct Evaluation {
  ExpertCluster cluster;
  ExpertCounts counts;
  PlacementPlan plan;                        ///< the layout's living part, with its balance
  std::vector<ExpertSlot> unserved;          ///< experts without a living replica
  std::vector<placement::HostLoss> losses;   ///< with several hosts
};

Result<Evaluation> evaluate(const PlaceOptions& options) {
  Evaluation out;
  FLEXPERT_ASSIGN(out.counts, read_counts(options.counts, options));
  FLEXPERT_ASSIGN(const PlaceLayout read, read_layout(options.layout, options, out.counts.geometry));
  FLEXPERT_ASSIGN(out.cluster, cluster_of(options.cluster, {out.counts.geometry, &read.layout, read.cluster ? &*read.cluster : nullptr}));
  FLEXPERT_TRY(placement::check_match(read.layout, out.cluster, out.counts));
  out.plan.mode = read.mode.empty() ? "as given" : read.mode;
  out.plan.layout = living_part(read.layout, out.cluster);
  out.plan.balance = placement::balance_of(out.plan.layout, out.cluster, out.counts);
  const std::vector<std::uint32_t> replicas = replica_counts(out.plan.layout);
  for (std::size_t i = 0; i < replicas.size(); ++i)
    if (replicas[i] == 0) out.unserved.push_back(out.counts.geometry.slot(i));
  if (out.unserved.empty() && out.cluster.hosts() > 1) out.losses = placement::host_losses(out.plan.layout, out.cluster, out.counts);
  return out;
}

void print_losses(const Evaluation& e) {
  using report::Align;
  report::Table table({{"host lost", Align::kRight},
                       {"experts unserved", Align::kRight},
                       {"of them with redundancy", Align::kRight},
                       {"balancedness of the rest", Align::kRight}});
  for (const placement::HostLoss& loss : e.losses)
    table.add_row({std::to_string(loss.host), report::grouped(loss.lost.size()), report::grouped(loss.lost_with_redundancy.size()),
                   report::balancedness_text(loss.balancedness)});
  print_title("When a host is lost, without a new plan");
  print_table(table);
}

void print_evaluation(const Evaluation& e, std::uint32_t rows) {
  say("{}\n{}\n\n", describe(e.counts), describe(e.cluster));
  const auto before = layout_before(std::nullopt, e.cluster, e.counts);
  print_table(report::balance_table(e.plan.balance, before ? &before->balance : nullptr, before ? before->name : "", "layout"));
  if (!e.unserved.empty()) {
    say("\n{} experts have no living replica, expert {} of layer {} first; plan again with `flexpert place plan --dead ...`\n",
        e.unserved.size(), e.unserved[0].expert, e.unserved[0].layer);
  }
  if (rows == 0) return;
  print_title("Replicas of an expert of a layer");
  print_table(report::replicas_table(e.plan.layout));
  print_title("Least even layers");
  print_table(report::layers_table(e.plan.balance, rows));
  if (!e.losses.empty()) print_losses(e);
}

void print_evaluation_json(const Evaluation& e) {
  boost::json::object out{{"balance", balance_json(e.plan.balance, true)}};
  const auto slots = [](const std::vector<ExpertSlot>& list) {
    boost::json::array all;
    for (const ExpertSlot& slot : list) all.push_back({slot.layer, slot.expert});
    return all;
  };
  out["unserved"] = slots(e.unserved);
  boost::json::array& losses = out["host_losses"].emplace_array();
  for (const placement::HostLoss& loss : e.losses)
    losses.push_back({{"host", loss.host},
                      {"lost", slots(loss.lost)},
                      {"lost_with_redundancy", loss.lost_with_redundancy.size()},
                      {"balancedness", loss.balancedness}});
  print_json(out);
}

Result<void> run(const PlaceOptions& options) {
  FLEXPERT_ASSIGN(const Evaluation evaluation, evaluate(options));
  if (!options.html.empty()) {
    const report::PlacementPage page{"Expert layout",
                                     {{"layout", options.layout},
                                      {"counts", options.counts + ": " + describe(evaluation.counts)},
                                      {"cluster", describe(evaluation.cluster)}},
                                     layout_before(std::nullopt, evaluation.cluster, evaluation.counts)};
    FLEXPERT_TRY(write_page(options.html, evaluation.plan, evaluation.cluster, evaluation.counts, page));
  }
  if (options.json) {
    print_evaluation_json(evaluation);
  } else if (options.html != "-") {
    print_evaluation(evaluation, options.rows);
    if (!options.html.empty()) say("\nreport: {}\n", options.html);
  }
  return {};
}

}  // namespace

int run_place_evaluate(const PlaceOptions& options) {
  if (auto evaluated = run(options); !evaluated) return fail_with("place evaluate", evaluated.error());
  return kExitOk;
}

}  // namespace flexpert::app
