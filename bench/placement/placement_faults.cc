// Any one host is lost: what is served then, and how fast everything is served again.
#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "codec/expert_files.h"
#include "figures.h"
#include "loads.h"
#include "placement/balance.h"
#include "placement/quality.h"
#include "placement/recovery.h"
#include "placement/robust.h"

namespace flexpert::bench {
namespace {

constexpr std::uint32_t kHosts = 8;
constexpr int kRuns = 100;

struct Case {
  std::string name;
  ExpertCounts counts;
  std::uint32_t devices = 0;
  std::uint32_t slots = 0;
};

Result<ExpertCounts> read(const std::string& path, const std::string& inside) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, "cannot read {}", path);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  return codec::read_counts(bytes, inside);
}

ExpertCounts drawn(ExpertGeometry geometry) { return DriftingLoads(geometry, 1).next(); }

/// The worst over the hosts.
struct Worst {
  std::size_t lost = 0;
  std::size_t lost_with_redundancy = 0;
  double after_loss = 1;
  double after = 1;
  std::size_t unserved_least = SIZE_MAX;
  std::size_t unserved = 0;
  double unserved_share = 0;
  std::uint64_t changed = 0;
  std::uint32_t duplicates = 0;
  double ms = 0;
};

Result<Worst> lose_each_host(const Case& each, const ExpertCluster& cluster, const ExpertLayout& layout) {
  Worst worst;
  const auto losses = placement::host_losses(layout, cluster, each.counts);
  for (std::uint32_t host = 0; host < kHosts; ++host) {
    ExpertCluster left = cluster;
    for (ExpertDevice& device : left.devices)
      if (device.host == host) device.alive = false;
    Result<placement::Recovery> made = placement::replan_after_loss(layout, left, each.counts);
    if (!made) return fail(std::move(made.error()));
    worst.lost = std::max(worst.lost, losses[host].lost.size());
    worst.lost_with_redundancy = std::max(worst.lost_with_redundancy, losses[host].lost_with_redundancy.size());
    worst.after_loss = std::min(worst.after_loss, losses[host].balancedness);
    worst.after = std::min(worst.after, made->balancedness);
    worst.unserved = std::max(worst.unserved, made->unserved.size());
    worst.unserved_least = std::min(worst.unserved_least, made->unserved.size());
    worst.unserved_share = std::max(worst.unserved_share, made->unserved_share);
    worst.changed = std::max(worst.changed, made->changed);
    // Balance and duplicates as everyone else measures them, where every expert is there.
    if (made->unserved.empty())
      worst.duplicates = std::max(worst.duplicates, placement::balance_of(made->layout, left, each.counts).duplicates);
    worst.ms = std::max(worst.ms, least_cpu_ms(kRuns, [&] { (void)placement::replan_after_loss(layout, left, each.counts); }));
  }
  return worst;
}

Result<void> measure_case(const Case& each, Figures& figures) {
  const auto cluster = ExpertCluster::uniform(each.devices, kHosts, each.slots / each.devices);
  placement::RobustProblem problem;
  problem.cases.push_back({each.name, each.counts, 1});
  problem.cluster = cluster;
  FLEXPERT_ASSIGN(const auto plan, placement::plan_robust(problem));
  FLEXPERT_ASSIGN(const Worst worst, lose_each_host(each, cluster, plan.plan.layout));
  FLEXPERT_ASSIGN(const auto even, placement::plan_quality(each.counts, cluster));
  std::size_t without_spread = 0;
  for (const auto& loss : placement::host_losses(even.layout, cluster, each.counts))
    without_spread = std::max(without_spread, loss.lost_with_redundancy.size());

  const std::uint32_t living = each.slots - each.slots / kHosts;
  const std::size_t short_by = each.counts.geometry.experts > living ? each.counts.geometry.experts - living : 0;
  const std::size_t expected = short_by * each.counts.geometry.layers;
  const auto name = [&](const char* figure) { return fmt::format("{}.{}", each.name, figure); };
  figures.hold(name("lost_with_redundancy"), static_cast<double>(worst.lost_with_redundancy), "experts", "0",
               worst.lost_with_redundancy == 0);
  figures.hold(name("replan_ms"), worst.ms, "ms", "<=5", worst.ms <= 5);
  figures.hold(
      name("unserved_after_replan"), static_cast<double>(worst.unserved), "experts",
      short_by == 0 ? std::string("0") : fmt::format("{} ({} slots left for {} experts)", expected, living, each.counts.geometry.experts),
      worst.unserved == expected && worst.unserved_least == expected);
  if (short_by == 0) figures.hold(name("duplicates"), worst.duplicates, "replicas", "0", worst.duplicates == 0);
  figures.note(name("balancedness"), plan.plan.balance.balancedness, "before");
  figures.note(name("balancedness_after_loss"), worst.after_loss, "of the experts still served");
  figures.note(name("balancedness_after_replan"), worst.after, "worst host");
  figures.note(name("without_redundancy_lost"), static_cast<double>(worst.lost), "experts at most");
  figures.note(name("unserved_load"), 100 * worst.unserved_share, "% at most");
  figures.note(name("slots_changed"), static_cast<double>(worst.changed), "at most");
  figures.note(name("lost_with_redundancy_by_quality_mode"), static_cast<double>(without_spread), "experts: it does not spread over hosts");
  return {};
}

Result<void> measure(const std::string& folder, Figures& figures) {
  FLEXPERT_ASSIGN(const auto gpt_oss, read(folder + "/gpt-oss-20b-domains.json", "domains[2]"));
  FLEXPERT_ASSIGN(const auto law, read(folder + "/deepseek-v2-lite-counts.json.gz", "tasks.law"));
  const Case cases[] = {
      {"58x256_320_on_32", drawn({58, 256}), 32, 320}, {"58x256_360_on_72", drawn({58, 256}), 72, 360},
      {"94x128_160_on_32", drawn({94, 128}), 32, 160}, {"58x256_288_on_32", drawn({58, 256}), 32, 288},
      {"58x256_288_on_72", drawn({58, 256}), 72, 288}, {"gpt-oss-20b_40_on_8", gpt_oss, 8, 40},
      {"deepseek-v2-lite_80_on_8", law, 8, 80},        {"deepseek-v2-lite_72_on_8", law, 8, 72},
  };
  for (const Case& each : cases) FLEXPERT_TRY(measure_case(each, figures));
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  using namespace flexpert;
  using namespace flexpert::bench;
  return run_folder_measurement(
      argc, argv, "placement-faults",
      "plan_robust() on devices of 8 hosts, then each host lost in turn and replan_after_loss() for the rest, with its checks; every "
      "figure is of the worst "
      "host; ms is CPU time of one thread, the least of 100 runs; loads drawn as in bench/placement/loads.h, gpt-oss-20b and "
      "DeepSeek-V2-Lite as recorded; "
      "where fewer slots than experts are left, the experts with the least load go unserved, exactly as many as must",
      measure);
}
