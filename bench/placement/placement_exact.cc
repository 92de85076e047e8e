// DeepSeek EPLB, slot for slot: how long a plan takes.
#include <fmt/format.h>

#include "figures.h"
#include "loads.h"
#include "placement/balance.h"
#include "placement/eplb.h"

namespace flexpert::bench {
namespace {

struct Case {
  const char* name;
  ExpertGeometry geometry;
  placement::EplbShape shape;
  double bar_ms;
};

constexpr Case kCases[] = {
    {"58x256_288_on_32_hierarchical", {58, 256}, {288, 8, 4, 32}, 1.5},
    {"94x128_160_on_32_global", {94, 128}, {160, 1, 32, 32}, 2.5},
};

Result<bool> golden() {
  const ExpertCounts counts{
      {2, 12}, {90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86, 20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}, 0};
  FLEXPERT_ASSIGN(const auto hierarchical, placement::plan_eplb(counts, {16, 4, 2, 8}));
  FLEXPERT_ASSIGN(const auto global, placement::plan_eplb(counts, {16, 3, 2, 8}));
  return hierarchical.expert_of_slot == std::vector<std::int32_t>{5, 6,  5, 7, 8, 4,  3, 4, 10, 9, 10, 2, 0, 1, 11, 1,
                                                                  7, 10, 6, 8, 6, 11, 8, 9, 2,  4, 5,  1, 5, 0, 3,  1} &&
         global.expert_of_slot ==
             std::vector<std::int32_t>{10, 6, 10, 7, 0, 2, 11, 4, 5, 9, 5, 4, 8, 3, 1, 1, 1, 10, 2, 4, 5, 11, 5, 0, 6, 7, 6, 3, 8, 8, 9, 7};
}

Result<void> measure(Figures& figures) {
  FLEXPERT_ASSIGN(const bool equal, golden());
  figures.hold("golden", equal ? 2 : 0, "cases", "2", equal);
  for (const Case& each : kCases) {
    const ExpertCounts counts = DriftingLoads(each.geometry, 1).next();
    FLEXPERT_ASSIGN(const ExpertLayout layout, placement::plan_eplb(counts, each.shape));
    const double ms = least_cpu_ms(100, [&] { (void)placement::plan_eplb(counts, each.shape); });
    figures.hold(fmt::format("{}.ms", each.name), ms, "ms", fmt::format("<={}", each.bar_ms), ms <= each.bar_ms);
    const auto cluster = ExpertCluster::uniform(each.shape.devices, 4, each.shape.replicas / each.shape.devices);
    const Balance balance = placement::balance_of(layout, cluster, counts);
    figures.note(fmt::format("{}.balancedness", each.name), balance.balancedness, "");
    figures.note(fmt::format("{}.worst_layer", each.name), balance.worst, "");
    figures.note(fmt::format("{}.duplicates", each.name), balance.duplicates, "replicas");
  }
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main() {
  flexpert::bench::Figures figures("placement-exact",
                                   "plan_eplb() with all of its checks and memory; CPU time of one thread, least of 100 runs; loads of the "
                                   "drawn law (bench/placement/loads.h), seed 1. Equality with a straightforward reference on 1,000 random "
                                   "inputs is in src/placement/tests/eplb_test.cc");
  const auto done = flexpert::bench::measure(figures);
  if (!done) std::fprintf(stderr, "placement-exact: %s\n", done.error().message.c_str());
  return figures.verdict(done.has_value());
}
