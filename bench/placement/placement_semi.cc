// Group-to-node affinity as a cost: what balance costs in cross-node traffic, between strict hierarchy and none.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>

#include <fmt/format.h>

#include "base/rng.h"
#include "codec/expert_files.h"
#include "figures.h"
#include "loads.h"
#include "placement/affinity.h"
#include "placement/balance.h"
#include "placement/eplb.h"
#include "placement/quality.h"
#include "placement/robust.h"

namespace flexpert::bench {
namespace {

// DeepSeek-V3 on 4 nodes of 8 GPUs: a token picks 4 of 8 groups, and 8 experts of those.
constexpr std::uint32_t kGroups = 8;
constexpr std::uint32_t kGroupsOfToken = 4;
constexpr std::uint32_t kTopK = 8;
constexpr std::uint32_t kNodes = 4;
constexpr std::uint32_t kDevices = 32;
constexpr std::uint32_t kSlots = 288;
constexpr std::uint32_t kTokens = 400;  // sampled in each layer
constexpr double kWeights[] = {0.03, 0.1, 0.3, 1, 10};
constexpr double kChosen = 0.3;

struct Load {
  std::string name;
  ExpertCounts counts;
};

/// Draws `count` different indices with probabilities in proportion to `weights`.
std::vector<std::uint32_t> draw(std::vector<double> weights, std::uint32_t count, Rng& rng) {
  std::vector<std::uint32_t> out;
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  while (out.size() < count && total > 0) {
    double at = rng.uniform() * total;
    std::uint32_t index = 0;
    while (index + 1 < weights.size() && (weights[index] <= 0 || at >= weights[index])) at -= weights[index++];
    if (weights[index] <= 0) break;
    out.push_back(index);
    total -= weights[index];
    weights[index] = 0;
  }
  return out;
}

/// The copies of a token's activations that leave its node, in the mean: tokens start on all nodes alike, pick groups by
/// load, experts of them by load, and of an expert any replica.
double copies_a_token(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts) {
  Rng rng(7);
  const auto device_of = device_of_slots(layout.slots_of_device);
  const std::uint32_t group_size = counts.geometry.experts / kGroups;
  double copies = 0;
  double tokens = 0;
  for (std::uint32_t l = 0; l < counts.geometry.layers; ++l) {
    const auto loads = counts.layer(l);
    std::vector<double> groups(kGroups, 0.0);
    for (std::uint32_t e = 0; e < loads.size(); ++e) groups[e / group_size] += loads[e];
    if (std::accumulate(groups.begin(), groups.end(), 0.0) <= 0) continue;
    std::vector<std::vector<std::uint32_t>> nodes_of(loads.size());
    for (std::size_t slot = 0; slot < device_of.size(); ++slot)
      if (layout.layer(l)[slot] != kEmptySlot)
        nodes_of[static_cast<std::size_t>(layout.layer(l)[slot])].push_back(cluster.devices[device_of[slot]].node);
    for (std::uint32_t token = 0; token < kTokens; ++token) {
      std::vector<double> open(loads.size(), 0.0);
      for (const std::uint32_t g : draw(groups, kGroupsOfToken, rng))
        std::copy_n(loads.begin() + g * group_size, group_size, open.begin() + g * group_size);
      std::vector<bool> reached(kNodes, false);
      const std::uint64_t source = rng.below(kNodes);
      for (const std::uint32_t e : draw(open, kTopK, rng)) reached[nodes_of[e][rng.below(nodes_of[e].size())]] = true;
      for (std::uint32_t node = 0; node < kNodes; ++node) copies += reached[node] && node != source ? 1 : 0;
      ++tokens;
    }
  }
  return tokens > 0 ? copies / tokens : 0;
}

/// Means over the loads.
struct Sums {
  double balancedness = 0;
  double worst = 1;
  double cross = 0;
  double copies = 0;
  double ms = 0;
  int count = 0;

  void add(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts, double took_ms) {
    const Balance balance = placement::balance_of(layout, cluster, counts);
    balancedness += balance.balancedness;
    worst = std::min(worst, balance.worst);
    cross += placement::node_traffic(layout, cluster, counts, kGroups).cross_node_share;
    copies += copies_a_token(layout, cluster, counts);
    ms += took_ms;
    ++count;
  }
  void print(Figures& figures, const std::string& name) const {
    figures.note(name + ".balancedness", balancedness / count, "mean");
    figures.note(name + ".worst_layer", worst, "balancedness");
    figures.note(name + ".cross_node_share", 100 * cross / count, "%");
    figures.note(name + ".copies", copies / count, "a token leaves its node, sampled");
    figures.note(name + ".ms", ms / count, "ms");
  }
};

/// The drawn loads, every group of every layer times a factor of its own: real groups are that uneven.
std::vector<Load> drawn_loads() {
  std::vector<Load> out;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    ExpertCounts counts = DriftingLoads({58, 256}, seed).next();
    Rng rng(seed);
    double factor = 1;
    for (std::size_t i = 0; i < counts.count.size(); ++i) {
      if (i % (256 / kGroups) == 0) factor = std::exp(1.4 * (rng.uniform() - 0.5));
      counts.count[i] = std::round(counts.count[i] * factor);
    }
    out.push_back({fmt::format("drawn {}", seed), std::move(counts)});
  }
  return out;
}

Result<std::vector<Load>> read_folder(const std::string& folder) {
  std::vector<Load> out;
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    auto counts = codec::read_counts(bytes);
    if (!counts) return fail(counts.error().with_context(path.string()));
    if (counts->geometry.experts != 256)
      return fail(ErrorCode::kInvalidArgument, "{}: needs 256 experts: {}", path.string(), counts->geometry.experts);
    out.push_back({path.stem().string(), std::move(*counts)});
  }
  if (out.empty()) return fail(ErrorCode::kNotFound, "no .json file with a logical_count in {}", folder);
  return out;
}

Result<void> measure(const std::vector<Load>& loads, Figures& figures) {
  const auto cluster = ExpertCluster::uniform(kDevices, kNodes, kSlots / kDevices);
  Sums strict;
  Sums global;
  Sums quality;
  Sums spread;
  std::vector<Sums> semi(std::size(kWeights));
  for (const Load& load : loads) {
    FLEXPERT_ASSIGN(const auto walled, placement::plan_eplb(load.counts, {kSlots, kGroups, kNodes, kDevices}));
    strict.add(walled, cluster, load.counts, 0);
    FLEXPERT_ASSIGN(const auto open, placement::plan_eplb(load.counts, {kSlots, 1, 1, kDevices}));
    global.add(open, cluster, load.counts, 0);
    double start = thread_cpu_ms();
    FLEXPERT_ASSIGN(const auto even, placement::plan_quality(load.counts, cluster));
    quality.add(even.layout, cluster, load.counts, thread_cpu_ms() - start);
    placement::RobustProblem problem;
    problem.cases.push_back({load.name, load.counts, 1});
    problem.cluster = cluster;
    problem.spread_hosts = false;
    for (std::size_t w = 0; w < semi.size(); ++w) {
      problem.affinity = placement::Affinity{kGroups, kWeights[w]};
      start = thread_cpu_ms();
      FLEXPERT_ASSIGN(const auto made, placement::plan_robust(problem));
      semi[w].add(made.plan.layout, cluster, load.counts, thread_cpu_ms() - start);
    }
    problem.affinity->weight = kChosen;
    problem.spread_hosts = true;
    start = thread_cpu_ms();
    FLEXPERT_ASSIGN(const auto apart, placement::plan_robust(problem));
    spread.add(apart.plan.layout, cluster, load.counts, thread_cpu_ms() - start);
  }
  strict.print(figures, "strict");
  global.print(figures, "global_eplb");
  quality.print(figures, "quality");
  const double global_cross = global.cross / global.count;
  for (std::size_t w = 0; w < semi.size(); ++w) {
    const std::string name = fmt::format("weight_{:g}", kWeights[w]);
    semi[w].print(figures, name);
    if (kWeights[w] != kChosen) continue;
    const double balancedness = semi[w].balancedness / semi[w].count;
    const double cross = semi[w].cross / semi[w].count;
    figures.hold(name + ".balancedness_bar", balancedness, "mean", ">=0.95", balancedness >= 0.95);
    figures.hold(name + ".of_global_traffic", 100 * cross / global_cross, "%", "<=25", cross <= 0.25 * global_cross);
    figures.hold(name + ".copies_saved", (global.copies - semi[w].copies) / global.count, "a token", ">0", semi[w].copies < global.copies);
  }
  spread.print(figures, fmt::format("weight_{:g}_spread_over_hosts", kChosen));
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  using namespace flexpert::bench;
  if (argc > 2) {
    std::fprintf(stderr, "usage: %s [FOLDER_OF_LOGICAL_COUNT_JSON]\n", argv[0]);
    return 2;
  }
  Figures figures(
      "placement-semi",
      fmt::format(
          "plan_robust() with group affinity, 256 experts of 8 groups, 288 slots on 32 GPUs of 4 nodes, beside plan_eplb() and "
          "plan_quality(); "
          "loads: {}; cross_node_share is the load served outside its group's home node (placement/affinity.h); copies are those of tokens "
          "that pick 4 groups and 8 experts of them by load, and any replica; CPU time of one thread, one run each",
          argc == 2 ? "the counts of every file in the folder"
                    : "drawn as in bench/placement/loads.h, each group times e^u, u uniform in +-0.7"));
  flexpert::Result<std::vector<Load>> loads = argc == 2 ? read_folder(argv[1]) : drawn_loads();
  const flexpert::Result<void> done = loads ? measure(*loads, figures) : flexpert::Result<void>(flexpert::fail(loads.error()));
  if (!done) std::fprintf(stderr, "placement-semi: %s\n", done.error().message.c_str());
  return figures.verdict(done.has_value());
}
