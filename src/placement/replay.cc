#include "placement/replay.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "placement/eplb.h"
#include "placement/ideal_split.h"
#include "placement/recorder.h"
#include "placement/replay_start.h"
#include "placement/replay_stream.h"

namespace flexpert::placement {
namespace {

/// Steps and topic of a window.
struct WindowTokens {
  std::vector<std::vector<std::uint64_t>> steps;
  std::uint32_t tokens = 0;
  std::map<std::string, std::uint32_t> topics;

  [[nodiscard]] std::string topic() const {
    return std::ranges::max_element(topics, {}, [](const auto& topic) { return topic.second; })->first;
  }
};

class Replay {
 public:
  Replay(const RoutingTrace& trace, const ReplayOptions& options, Rebalancer rebalancer)
      : trace_(trace),
        options_(options),
        rebalancer_(std::move(rebalancer)),
        recorder_(trace.geometry, {.buffer_steps = 0, .part_tokens = options.part_tokens, .parts = 2 * options.rebalance.history.parts}),
        bare_(bare_layout(trace.geometry, options.devices)),
        bare_cluster_(cluster_of(bare_)),
        replanned_(trivial_layout(trace.geometry, rebalancer_.layout().slots_of_device)) {
    recorder_.start();
    decision_.reason.code = "none";
  }

  Result<ReplayReport> run() {
    ReplayStream stream(trace_, options_.concurrent);
    WindowTokens window;
    while (const ReplayStep* step = stream.next()) {
      window.steps.push_back(step->tokens);
      window.tokens += static_cast<std::uint32_t>(step->tokens.size());
      window.topics[*step->topic] += static_cast<std::uint32_t>(step->tokens.size());
      if (window.tokens < options_.window_tokens) continue;
      FLEXPERT_TRY(take(std::exchange(window, {})));
    }
    if (window.tokens > 0) FLEXPERT_TRY(take(window));
    return std::move(report_);
  }

 private:
  Result<void> take(const WindowTokens& window) {
    record(window);
    recorder_.take_window(window_);
    ReplayWindow result;
    result.topic = window.topic();
    result.tokens = window.tokens;
    result.steps = static_cast<std::uint32_t>(window.steps.size());
    const bool first = report_.windows.empty();
    result.topic_changed = first || report_.windows.back().topic != result.topic;
    result.steady = !result.topic_changed;
    result.ours_by = dispatch(window, rebalancer_.layout(), rebalancer_.cluster());
    result.none_by = dispatch(window, bare_, bare_cluster_);
    result.replanned_by = dispatch(window, replanned_, rebalancer_.cluster());
    result.balancedness = result.ours_by.window;
    result.none = result.none_by.window;
    result.replanned = result.replanned_by.window;
    result.ideal = dispatched_balance(rebalancer_.layout(), rebalancer_.cluster(), std::span(&window_.counts, 1)).balancedness;
    result.moves = decision_.plan ? decision_.plan->moves.changed() : 0;
    result.replan_moves = replan_moves_;
    result.drift = decision_.drift.distance.chance > 0 ? decision_.drift.distance.ratio() : 0;
    result.decision = decision_.reason.code;
    report_.windows.push_back(std::move(result));
    return plan_next(window);
  }

  void record(const WindowTokens& window) {
    std::vector<std::uint16_t> experts;
    for (const auto& step : window.steps) {
      recorder_.begin_step(recorder_.steps_seen());
      for (std::uint32_t l = 0; l < trace_.geometry.layers; ++l) {
        experts.clear();
        for (const std::uint64_t token : step) {
          const auto choice = trace_.choice(token, l);
          experts.insert(experts.end(), choice.begin(), choice.end());
        }
        recorder_.add_layer(l, experts, trace_.top_k);
      }
      recorder_.end_step();
    }
  }

  /// Dispatches a window step by step, without knowledge of later steps, and counts the devices' tokens.
  [[nodiscard]] ReplayBalance dispatch(const WindowTokens& window, const ExpertLayout& layout, const ExpertCluster& cluster) const {
    ReplayBalance balance;
    std::vector<std::uint8_t> experts;
    std::vector<std::uint32_t> slots;
    std::vector<double> sums(cluster.devices.size());
    for (std::uint32_t l = 0; l < trace_.geometry.layers; ++l) {
      TokenDispatch dispatch(layout, l, cluster, options_.dispatch);
      std::ranges::fill(sums, 0.0);
      for (const auto& step : window.steps) {
        experts.clear();
        for (const std::uint64_t token : step) {
          const auto choice = trace_.choice(token, l);
          experts.insert(experts.end(), choice.begin(), choice.end());
        }
        slots.resize(experts.size());
        dispatch.assign(experts, trace_.top_k, {}, slots);
        const auto tokens = dispatch.device_tokens();
        for (std::size_t d = 0; d < tokens.size(); ++d) sums[d] += tokens[d];
        const double mean = static_cast<double>(experts.size()) / static_cast<double>(tokens.size());
        balance.steps += mean / std::ranges::max(tokens) / static_cast<double>(window.steps.size());
      }
      balance.window += std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(sums.size()) / std::ranges::max(sums);
    }
    balance.window /= trace_.geometry.layers;
    balance.steps /= trace_.geometry.layers;
    return balance;
  }

  Result<void> plan_next(const WindowTokens& window) {
    FLEXPERT_ASSIGN(decision_, rebalancer_.observe(window_, window.steps.size()));
    if (decision_.plan) FLEXPERT_TRY(rebalancer_.adopt(decision_.plan->layout));
    const EplbShape shape{.replicas = options_.devices * options_.slots_per_device, .devices = options_.devices};
    FLEXPERT_ASSIGN(ExpertLayout scratch, plan_eplb(window_.counts, shape));
    replan_moves_ = 0;
    for (std::size_t i = 0; i < scratch.expert_of_slot.size(); ++i)
      replan_moves_ += scratch.expert_of_slot[i] != replanned_.expert_of_slot[i] ? 1 : 0;
    replanned_ = std::move(scratch);
    return {};
  }

  const RoutingTrace& trace_;
  const ReplayOptions& options_;
  Rebalancer rebalancer_;
  Recorder recorder_;
  ExpertLayout bare_;
  ExpertCluster bare_cluster_;
  ExpertLayout replanned_;
  std::uint64_t replan_moves_ = 0;
  RebalanceDecision decision_;  // on the window before
  RecordedWindow window_;
  ReplayReport report_;
};

Result<void> check(const RoutingTrace& trace, const ReplayOptions& options) {
  if (trace.tokens() == 0 || trace.requests.empty()) return fail(ErrorCode::kInvalidArgument, "replay: the trace has no tokens");
  if (options.devices == 0 || options.slots_per_device == 0 || options.devices > 4096 || options.slots_per_device > 4096)
    return fail(ErrorCode::kInvalidArgument, "replay: devices and slots per device must be from 1 to 4096: {} x {}", options.devices,
                options.slots_per_device);
  if (options.devices * options.slots_per_device < trace.geometry.experts)
    return fail(ErrorCode::kInvalidArgument, "replay: {} devices x {} slots are fewer than the model's {} experts", options.devices,
                options.slots_per_device, trace.geometry.experts);
  if (options.window_tokens == 0 || options.concurrent == 0)
    return fail(ErrorCode::kInvalidArgument, "replay: tokens a window and concurrent requests must be at least 1: {}, {}",
                options.window_tokens, options.concurrent);
  for (const RoutingTrace::Request& request : trace.requests)
    if (request.first_token > trace.tokens() || request.tokens > trace.tokens() - request.first_token)
      return fail(ErrorCode::kInvalidArgument, "replay: a request's tokens {} to {} are outside of the trace's {}", request.first_token,
                  request.first_token + request.tokens, trace.tokens());
  for (const std::uint8_t expert : trace.experts)
    if (expert >= trace.geometry.experts)
      return fail(ErrorCode::kInvalidArgument, "replay: the trace names expert {}, the model has {}", expert, trace.geometry.experts);
  return {};
}

/// Tells whether a policy looks at the devices' load, so that layouts for free splits suit it.
bool follows_load(DispatchPolicy policy) {
  return policy != DispatchPolicy::kStatic && policy != DispatchPolicy::kRandom && policy != DispatchPolicy::kRoundRobin;
}

}  // namespace

RebalanceOptions every_window() {
  RebalanceOptions options;
  options.interval_steps = 1;
  return options;
}

Result<ReplayReport> replay(const RoutingTrace& trace, const ReplayOptions& options) {
  FLEXPERT_TRY(check(trace, options));
  const ExpertCluster cluster = ExpertCluster::uniform(options.devices, 1, options.slots_per_device);
  RebalanceOptions rebalance = options.rebalance;
  rebalance.splits_freely = rebalance.splits_freely && follows_load(options.dispatch);
  FLEXPERT_ASSIGN(Rebalancer rebalancer, Rebalancer::create(ring_layout(trace.geometry, cluster), cluster, rebalance));
  return Replay(trace, options, std::move(rebalancer)).run();
}

}  // namespace flexpert::placement
