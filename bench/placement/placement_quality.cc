// Plans from scratch, refined towards the lower bound: how even they are, and how long they take.
#include <algorithm>

#include <fmt/format.h>

#include "figures.h"
#include "loads.h"
#include "placement/balance.h"
#include "placement/eplb.h"
#include "placement/quality.h"
#include "real_loads.h"

namespace flexpert::bench {
namespace {

struct Case {
  const char* name;
  ExpertGeometry geometry;
  std::uint32_t slots;
  std::uint32_t devices;
  double bar_ms;
};

constexpr Case kCases[] = {
    {"58x256_288_on_32", {58, 256}, 288, 32, 10},
    {"94x128_160_on_32", {94, 128}, 160, 32, 10},
    {"58x256_288_on_72", {58, 256}, 288, 72, 20},
};
constexpr std::uint64_t kSeeds = 8;
constexpr int kWindows = 4;

/// The worst over seeds and windows.
struct Worst {
  double mean = 1;
  double layer = 1;
  double gap = 0;
  double ms = 0;
  std::uint32_t duplicates = 0;
  double eplb_mean = 1;
  double eplb_layer = 1;
};

Result<void> measure(Figures& figures) {
  for (const Case& each : kCases) {
    const auto cluster = ExpertCluster::uniform(each.devices, each.devices / 8, each.slots / each.devices);
    Worst worst;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      DriftingLoads loads(each.geometry, seed);
      for (int window = 0; window < kWindows; ++window) {
        const ExpertCounts counts = loads.next();
        FLEXPERT_ASSIGN(const PlacementPlan plan, placement::plan_quality(counts, cluster));
        worst.mean = std::min(worst.mean, plan.balance.balancedness);
        worst.layer = std::min(worst.layer, plan.balance.worst);
        worst.gap = std::max(worst.gap, plan.balance.gap);
        worst.duplicates = std::max(worst.duplicates, plan.balance.duplicates);
        FLEXPERT_ASSIGN(const ExpertLayout eplb, placement::plan_eplb(counts, {each.slots, 1, 1, each.devices}));
        const Balance of_eplb = placement::balance_of(eplb, cluster, counts);
        worst.eplb_mean = std::min(worst.eplb_mean, of_eplb.balancedness);
        worst.eplb_layer = std::min(worst.eplb_layer, of_eplb.worst);
        // The least of 100 runs for the first seed's first window; fewer runs for the others, the slowest of all counts.
        const int runs = seed == 1 && window == 0 ? 100 : 5;
        worst.ms = std::max(worst.ms, least_cpu_ms(runs, [&] { (void)placement::plan_quality(counts, cluster); }));
      }
    }
    figures.hold(fmt::format("{}.mean", each.name), worst.mean, "balancedness", ">=0.995", worst.mean >= 0.995);
    figures.hold(fmt::format("{}.worst_layer", each.name), worst.layer, "balancedness", ">=0.98", worst.layer >= 0.98);
    figures.hold(fmt::format("{}.duplicates", each.name), worst.duplicates, "replicas", "0", worst.duplicates == 0);
    figures.hold(fmt::format("{}.ms", each.name), worst.ms, "ms", fmt::format("<={}", each.bar_ms), worst.ms <= each.bar_ms);
    figures.note(fmt::format("{}.gap_to_bound", each.name), 100 * worst.gap, "%");
    figures.note(fmt::format("{}.eplb_mean", each.name), worst.eplb_mean, "balancedness");
    figures.note(fmt::format("{}.eplb_worst_layer", each.name), worst.eplb_layer, "balancedness");
  }
  return {};
}

/// Real counts: DeepSeek-V2-Lite of four tasks and gpt-oss-20b of 32 topics, on 8 GPUs with a slot of redundancy each.
Result<void> measure_real(const std::string& folder, Figures& figures) {
  std::vector<RealLoad> loads;
  FLEXPERT_TRY(read_real_loads(folder + "/deepseek-v2-lite-counts.json.gz", "deepseek-v2-lite", loads));
  FLEXPERT_TRY(read_real_loads(folder + "/gpt-oss-20b-domains.json", "gpt-oss-20b", loads));
  std::uint32_t duplicates = 0;
  std::uint32_t worse_than_eplb = 0;
  for (const char* model : {"deepseek-v2-lite", "gpt-oss-20b"}) {
    Worst worst;
    for (const RealLoad& load : loads) {
      if (!load.name.starts_with(model)) continue;
      const std::uint32_t slots = load.counts.geometry.experts / 8 + 1;
      const auto cluster = ExpertCluster::uniform(8, 1, slots);
      FLEXPERT_ASSIGN(const PlacementPlan plan, placement::plan_quality(load.counts, cluster));
      FLEXPERT_ASSIGN(const ExpertLayout eplb, placement::plan_eplb(load.counts, {8 * slots, 1, 1, 8}));
      const Balance of_eplb = placement::balance_of(eplb, cluster, load.counts);
      worst.mean = std::min(worst.mean, plan.balance.balancedness);
      worst.layer = std::min(worst.layer, plan.balance.worst);
      worst.gap = std::max(worst.gap, plan.balance.gap);
      worst.eplb_mean = std::min(worst.eplb_mean, of_eplb.balancedness);
      worst.eplb_layer = std::min(worst.eplb_layer, of_eplb.worst);
      duplicates += plan.balance.duplicates;
      worse_than_eplb += plan.balance.balancedness < of_eplb.balancedness;
    }
    figures.note(fmt::format("{}.mean", model), worst.mean, "balancedness, worst load");
    figures.note(fmt::format("{}.worst_layer", model), worst.layer, "balancedness");
    figures.note(fmt::format("{}.gap_to_bound", model), 100 * worst.gap, "%");
    figures.note(fmt::format("{}.eplb_mean", model), worst.eplb_mean, "balancedness");
    figures.note(fmt::format("{}.eplb_worst_layer", model), worst.eplb_layer, "balancedness");
  }
  figures.hold("real_loads.duplicates", duplicates, "replicas", "0", duplicates == 0);
  figures.hold("real_loads.worse_than_eplb", worse_than_eplb, fmt::format("of {} loads", loads.size()), "0", worse_than_eplb == 0);
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  using namespace flexpert;
  using namespace flexpert::bench;
  return run_folder_measurement(
      argc, argv, "placement-quality",
      fmt::format("plan_quality() with its checks, balance and lower bounds, on the drawn loads (bench/placement/loads.h): {} "
      "seeds, {} windows each; every figure is the worst of these; CPU time of one thread, least of 100 runs "
      "(of 5 for all but the first window), then the slowest window",
      kSeeds, kWindows),
      [](const std::string& folder, Figures& figures) -> Result<void> {
        FLEXPERT_TRY(measure(figures));
        return measure_real(folder, figures);
      });
}
