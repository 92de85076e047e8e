#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <fmt/format.h>

#include "codec/gzip.h"
#include "figures.h"
#include "loads.h"
#include "placement/dispatch_aware.h"
#include "placement/eplb.h"
#include "placement/ideal_split.h"
#include "placement/quality.h"
#include "placement/token_dispatch.h"

namespace flexpert::bench {
namespace {

using placement::DispatchPolicy;
using placement::TokenDispatch;

constexpr std::array kPolicies = {DispatchPolicy::kStatic,      DispatchPolicy::kRandom,
                                  DispatchPolicy::kRoundRobin,  DispatchPolicy::kLeastLoaded,
                                  DispatchPolicy::kLeastActivatedExperts, DispatchPolicy::kLocalityFirst};
constexpr ExpertGeometry kGeometry{26, 64};
constexpr std::uint32_t kTopK = 6;
constexpr std::uint32_t kDevices = 8;
constexpr std::uint32_t kSlots = 9;
constexpr std::uint32_t kWindow = 64;  // tokens, of a plan for dispatch

/// A task's choices, [layers][tokens][top_k].
struct Trace {
  std::vector<std::uint8_t> experts;
  std::uint32_t tokens = 0;

  [[nodiscard]] std::span<const std::uint8_t> part(std::uint32_t layer, std::uint32_t first, std::uint32_t count) const {
    return std::span(experts).subspan((static_cast<std::size_t>(layer) * tokens + first) * kTopK, static_cast<std::size_t>(count) * kTopK);
  }
};

Result<Trace> read_trace(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, "no trace, give the folder expert-loads as argument: {}", path);
  const std::string packed((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  FLEXPERT_ASSIGN(const std::string bytes, codec::gunzip(packed, 64U << 20));
  const std::size_t token = std::size_t{kGeometry.layers} * kTopK;
  if (bytes.empty() || bytes.size() % token != 0) return fail(ErrorCode::kDataLoss, "trace: not [26][tokens][6] bytes: {}", path);
  Trace out{{bytes.begin(), bytes.end()}, static_cast<std::uint32_t>(bytes.size() / token)};
  if (std::ranges::max(out.experts) >= kGeometry.experts) return fail(ErrorCode::kDataLoss, "trace: an expert over 63: {}", path);
  return out;
}

std::vector<ExpertCounts> windows_of(const Trace& trace, std::uint32_t tokens, std::uint32_t window) {
  std::vector<ExpertCounts> out;
  for (std::uint32_t first = 0; first < tokens; first += window) {
    ExpertCounts counts{kGeometry, std::vector<double>(kGeometry.size()), 0};
    counts.tokens = std::min(window, tokens - first);
    for (std::uint32_t l = 0; l < kGeometry.layers; ++l)
      for (const std::uint8_t e : trace.part(l, first, static_cast<std::uint32_t>(counts.tokens))) ++counts.count[kGeometry.index({l, e})];
    out.push_back(std::move(counts));
  }
  return out;
}

struct Outcome {
  double balancedness = 0;  ///< mean over layers and steps
  double pairs = 0;         ///< activated (device, expert) pairs a layer and step
  double most_active = 0;   ///< on one device
  double local = 0;         ///< share of rows that stay on the token's device
};

/// Plays tokens [first, all) in steps; token t of a step is on device t % 8.
Outcome play(const Trace& trace, std::uint32_t first, std::uint32_t step, const ExpertLayout& layout, DispatchPolicy policy) {
  const auto cluster = ExpertCluster::uniform(kDevices, 1, kSlots);
  Outcome out;
  double count = 0;
  std::vector<std::uint16_t> source(step);
  for (std::uint32_t t = 0; t < step; ++t) source[t] = static_cast<std::uint16_t>(t % kDevices);
  std::vector<std::uint32_t> slots(step * kTopK);
  for (std::uint32_t l = 0; l < kGeometry.layers; ++l) {
    TokenDispatch dispatch(layout, l, cluster, policy);
    for (std::uint32_t at = first; at < trace.tokens; at += step, ++count) {
      const std::uint32_t tokens = std::min(step, trace.tokens - at);
      const std::size_t rows = std::size_t{tokens} * kTopK;
      dispatch.assign(trace.part(l, at, tokens), kTopK, std::span(source).first(tokens), std::span(slots).first(rows));
      out.balancedness += static_cast<double>(rows) / kDevices / std::ranges::max(dispatch.device_tokens());
      std::set<std::pair<std::uint32_t, std::int32_t>> pairs;
      for (std::size_t i = 0; i < rows; ++i) {
        pairs.insert({slots[i] / kSlots, layout.layer(l)[slots[i]]});
        out.local += slots[i] / kSlots == source[i / kTopK] ? 1 / static_cast<double>(rows) : 0;
      }
      std::array<std::uint32_t, kDevices> active{};
      for (const auto& [device, expert] : pairs) ++active[device];
      out.pairs += static_cast<double>(pairs.size());
      out.most_active += std::ranges::max(active);
    }
  }
  return {out.balancedness / count, out.pairs / count, out.most_active / count, out.local / count};
}

/// The same steps, every expert's rows split evenly over its replicas: what planners assume.
double even_split(const Trace& trace, std::uint32_t step, const ExpertLayout& layout) {
  const auto windows = windows_of(trace, trace.tokens, step);
  return placement::window_balance(layout, ExpertCluster::uniform(kDevices, 1, kSlots), windows).even;
}

Result<void> measure_task(const std::string& task, const Trace& trace, Figures& figures) {
  const auto cluster = ExpertCluster::uniform(kDevices, 1, kSlots);
  const ExpertCounts whole = windows_of(trace, trace.tokens, trace.tokens)[0];
  FLEXPERT_ASSIGN(const PlacementPlan by_counts, placement::plan_quality(whole, cluster));
  const double start = thread_cpu_ms();
  FLEXPERT_ASSIGN(const auto by_steps, placement::plan_dispatch_aware(windows_of(trace, trace.tokens, kWindow), cluster));
  figures.note(task + ".dispatch_aware_plan", thread_cpu_ms() - start, "ms");
  const std::uint32_t half = trace.tokens / 2;
  FLEXPERT_ASSIGN(const PlacementPlan half_counts, placement::plan_quality(windows_of(trace, half, half)[0], cluster));
  FLEXPERT_ASSIGN(const auto half_steps, placement::plan_dispatch_aware(windows_of(trace, half, kWindow), cluster));
  for (const auto& [step, bar] : {std::pair{64U, 0.85}, std::pair{256U, 0.91}}) {
    const std::pair<std::string, const ExpertLayout*> plans[] = {{"quality", &by_counts.layout}, {"dispatch_aware", &by_steps.plan.layout}};
    for (const auto& [plan, layout] : plans) {
      const std::string name = fmt::format("{}.{}.{}", task, plan, step);
      for (const DispatchPolicy policy : kPolicies) {
        const Outcome outcome = play(trace, 0, step, *layout, policy);
        const std::string figure = fmt::format("{}.{}", name, placement::name_of(policy));
        if (policy == DispatchPolicy::kLeastLoaded) {
          figures.hold(figure, outcome.balancedness, "balancedness", fmt::format(">={}", bar), outcome.balancedness >= bar);
        } else {
          figures.note(figure, outcome.balancedness, "balancedness");
        }
        if (policy == DispatchPolicy::kLeastLoaded || policy == DispatchPolicy::kLocalityFirst)
          figures.note(figure + ".rows_on_their_device", 100 * outcome.local, "%");
        if (policy == DispatchPolicy::kLeastLoaded || policy == DispatchPolicy::kLeastActivatedExperts) {
          figures.note(figure + ".activated_pairs", outcome.pairs, "a layer and step");
          figures.note(figure + ".activated_on_one_device", outcome.most_active, "experts at most, a layer and step");
        }
      }
      figures.note(name + ".even_split", even_split(trace, step, *layout), "balancedness");
    }
    figures.note(fmt::format("{}.quality.{}.planned_on_first_half", task, step),
                 play(trace, half, step, half_counts.layout, DispatchPolicy::kLeastLoaded).balancedness, "balancedness of the second");
    figures.note(fmt::format("{}.dispatch_aware.{}.planned_on_first_half", task, step),
                 play(trace, half, step, half_steps.plan.layout, DispatchPolicy::kLeastLoaded).balancedness, "balancedness of the second");
  }
  return {};
}

struct Shape {
  std::uint32_t experts;
  std::uint32_t top_k;
  std::uint32_t devices;
  std::uint32_t slots;
  bool held;
};

/// Times batches drawn from the load law.
Result<void> measure_time(Figures& figures) {
  for (const Shape& shape : {Shape{64, 6, 8, 9, true}, Shape{256, 8, 32, 9, false}, Shape{256, 8, 72, 4, false}}) {
    const ExpertCounts counts = DriftingLoads({1, shape.experts}, 1).next();
    const auto cluster = ExpertCluster::uniform(shape.devices, 1, shape.slots);
    FLEXPERT_ASSIGN(const ExpertLayout layout, placement::plan_eplb(counts, {shape.devices * shape.slots, 1, 1, shape.devices}));
    double total = 0;
    for (const double load : counts.count) total += load;
    Rng rng(2);
    for (const std::uint32_t tokens : {64U, 256U}) {
      std::vector<std::vector<std::uint8_t>> batches(32);
      for (auto& batch : batches) {
        for (std::uint32_t i = 0; i < tokens * shape.top_k; ++i) {
          double left = rng.uniform() * total;
          std::uint32_t e = 0;
          while (e + 1 < shape.experts && left >= counts.count[e]) left -= counts.count[e++];
          batch.push_back(static_cast<std::uint8_t>(e));
        }
      }
      std::vector<std::uint16_t> source;
      for (std::uint32_t t = 0; t < tokens; ++t) source.push_back(static_cast<std::uint16_t>(t % shape.devices));
      std::vector<std::uint32_t> slots(tokens * shape.top_k);
      for (const DispatchPolicy policy : kPolicies) {
        TokenDispatch dispatch(layout, 0, cluster, policy);
        const double ms = least_cpu_ms(100, [&] {
          for (const auto& batch : batches) dispatch.assign(batch, shape.top_k, source, slots);
        });
        const double ns = ms * 1e6 / (static_cast<double>(batches.size()) * static_cast<double>(slots.size()));
        const std::string figure = fmt::format("{}_experts_on_{}.{}.{}.ns_per_routed_token", shape.experts, shape.devices, tokens,
                                               placement::name_of(policy));
        if (shape.held && policy == DispatchPolicy::kLeastLoaded) {
          figures.hold(figure, ns, "ns", "<=100", ns <= 100);
        } else {
          figures.note(figure, ns, "ns");
        }
      }
    }
  }
  return {};
}

Result<void> measure(const std::string& folder, Figures& figures) {
  FLEXPERT_TRY(measure_time(figures));
  for (const std::string task : {"translation", "law", "summary", "intent"}) {
    FLEXPERT_ASSIGN(const Trace trace, read_trace(fmt::format("{}/deepseek-v2-lite-{}.topk.u8.gz", folder, task)));
    FLEXPERT_TRY(measure_task(task, trace, figures));
  }
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  using namespace flexpert;
  using namespace flexpert::bench;
  return run_folder_measurement(
      argc, argv, "dispatch",
      "DeepSeek-V2-Lite, 26 layers, 8 GPUs of 9 slots, tokens in order in steps of 64 and of 256 (the last one shorter), token t of a "
      "step on GPU t % 8; balancedness: mean/max of GPU tokens, averaged over layers and steps; plans from the whole trace: quality from "
      "its counts, dispatch_aware from its windows of 64 tokens; times: CPU time of one thread, least of 100 runs over 32 batches drawn "
      "from the load law of bench/placement/loads.h",
      measure);
}
