#include "engine/model/engine_metrics.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace flexpert::engine {
namespace {

constexpr std::size_t kBusiest = 20;
constexpr const char* kBusiestName = "flexpert_engine_busiest_expert_rows";
constexpr const char* kBusiestHelp = "Rows computed since start by the 20 experts that have computed the most.";

telemetry::Labels labels_of(ExpertSlot slot) { return {{"layer", std::to_string(slot.layer)}, {"expert", std::to_string(slot.expert)}}; }

}  // namespace

EngineMetrics::EngineMetrics(telemetry::Registry& registry, const EngineOptions& options)
    : registry_(&registry),
      queue_depth_(registry.gauge("flexpert_engine_queue_depth", "Requests that wait for a place in the batch.")),
      running_(registry.gauge("flexpert_engine_running", "Requests in the batch.")),
      kv_blocks_used_(registry.gauge("flexpert_engine_kv_blocks_used", "KV cache blocks reserved by running requests.")),
      kv_blocks_(registry.gauge("flexpert_engine_kv_blocks", "KV cache blocks.")),
      threads_(registry.gauge("flexpert_engine_threads", "Compute threads.")),
      remaining_tokens_(registry.gauge("flexpert_engine_remaining_tokens", "Tokens that waiting and running requests may still generate.")),
      ttft_(registry.histogram("flexpert_engine_ttft_seconds", "Time from submission to the first token.", telemetry::latency_bounds_s())),
      itl_(registry.histogram("flexpert_engine_itl_seconds", "Time between two tokens of a request.", telemetry::latency_bounds_s())),
      step_(registry.histogram("flexpert_engine_step_seconds", "Time of one step of the engine.", telemetry::latency_bounds_s())),
      duration_(registry.histogram("flexpert_engine_request_duration_seconds", "Time from submission to the last token.", telemetry::latency_bounds_s())),
      prompt_tokens_(registry.counter("flexpert_engine_prompt_tokens_total", "Prompt tokens computed.")),
      generated_tokens_(registry.counter("flexpert_engine_generated_tokens_total", "Tokens generated.")),
      steps_(registry.counter("flexpert_engine_steps_total", "Steps run.")) {
  registry.gauge("flexpert_engine_paced", "1 where results are held back to emulate an accelerator.").set(options.pace ? 1 : 0);
  for (const char* reason : {"stop", "length", "cancelled", "error"})
    finished_.push_back(registry.counter("flexpert_engine_requests_total", "Requests finished, by reason.", {{"reason", reason}}));
}

void EngineMetrics::set_levels(const EngineStats& stats, std::uint64_t tokens_to_come) {
  remaining_tokens_.set(static_cast<double>(tokens_to_come));
  queue_depth_.set(stats.queued);
  running_.set(stats.running);
  kv_blocks_used_.set(stats.kv_blocks_used);
}

void EngineMetrics::set_resources(EngineResources resources) {
  kv_blocks_.set(resources.kv_blocks);
  threads_.set(resources.threads);
}

void EngineMetrics::count_step(std::uint64_t prompt_tokens, Duration took) {
  steps_.add();
  step_.observe(to_seconds(took));
  prompt_tokens_.add(static_cast<double>(prompt_tokens));
}

void EngineMetrics::count_first_token(Duration since_submit) { ttft_.observe(to_seconds(since_submit)); }
void EngineMetrics::count_next_token(Duration since_last) { itl_.observe(to_seconds(since_last)); }
void EngineMetrics::count_finish(FinishReason reason, Duration since_submit) {
  finished_[static_cast<std::size_t>(reason)].add();
  duration_.observe(to_seconds(since_submit));
}

void EngineMetrics::show_busiest(const std::vector<std::uint64_t>& rows, ExpertGeometry geometry) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t count = std::min(kBusiest, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::size_t a, std::size_t b) { return rows[a] != rows[b] ? rows[a] > rows[b] : a < b; });
  std::set<std::size_t> now;
  for (std::size_t i = 0; i < count && rows[order[i]] > 0; ++i) {
    registry_->gauge(kBusiestName, kBusiestHelp, labels_of(geometry.slot(order[i]))).set(static_cast<double>(rows[order[i]]));
    now.insert(order[i]);
  }
  for (const std::size_t old : busiest_)
    if (!now.contains(old)) registry_->remove_gauge(kBusiestName, labels_of(geometry.slot(old)));
  busiest_ = std::move(now);
}

}  // namespace flexpert::engine
