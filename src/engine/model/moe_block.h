#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/kernels/compute_pool.h"
#include "engine/model/dense_weights.h"
#include "engine/model/expert_executor.h"
#include "engine/model/step_rows.h"
#include "fleet/expert_slot.h"
#include "placement/recorder.h"

namespace flexpert::engine {

/// Rows computed per (layer, expert) since start. Written by the engine thread, read by any.
class ExpertLoads {
 public:
  explicit ExpertLoads(ExpertGeometry geometry) : geometry_(geometry), rows_(geometry.size()) {}
  void add(ExpertSlot slot, std::uint64_t rows) { rows_[geometry_.index(slot)].fetch_add(rows, std::memory_order_relaxed); }
  [[nodiscard]] ExpertGeometry geometry() const { return geometry_; }
  [[nodiscard]] std::vector<std::uint64_t> snapshot() const;

 private:
  ExpertGeometry geometry_;
  std::vector<std::atomic<std::uint64_t>> rows_;
};

/// An expert chosen for a row and its weight in the sum. A row with fewer choices than there is room for has some of the expert
/// behind the last one, weight 0.
struct ExpertChoice {
  std::uint32_t expert = 0;
  float weight = 0;
};

/// Chooses the `count` largest of `probabilities` by falling value, ties to the lower index; with `renormalise` their
/// weights sum to 1.
void choose_experts(const float* probabilities, std::uint32_t experts, std::uint32_t count, bool renormalise, ExpertChoice* choices);
/// The same among `allowed` only, which is not empty; if those are fewer than `count`, all of them, and the rest is {experts, 0}.
void choose_allowed_experts(const float* probabilities, std::uint32_t experts, std::span<const std::uint32_t> allowed, std::uint32_t count,
                            bool renormalise, ExpertChoice* choices);

/// A layer of experts: softmax router over all experts, top-k, and the weighted sum of the chosen ones, which an
/// ExpertExecutor computes. A restricted row's forbidden experts have a logit of minus infinity before the softmax, and are
/// no candidates of top-k.
class MoeBlock {
 public:
  /// Reads PREFIXgate.weight, the router.
  static Result<MoeBlock> load(const Checkpoint& checkpoint, const std::string& prefix, std::uint32_t layer);
  /// Adds the experts' weighted sum of `x` (rows x hidden) to `residual`. A row's experts are summed by ascending index.
  /// `recorder` hears which experts each row chose; null: nobody does.
  void run(const StepRows& rows, const float* x, ExpertExecutor& executor, ExpertLoads& loads, placement::Recorder* recorder,
           ComputePool& pool, float* residual);

 private:
  void route(const StepRows& rows, const float* x, ComputePool& pool);
  void choose(const ExpertMask* mask, float* logits, ExpertChoice* choices) const;
  void group(std::uint32_t rows);
  void record(placement::Recorder& recorder);

  std::uint32_t layer_ = 0;
  std::uint32_t hidden_ = 0;
  std::uint32_t experts_ = 0;
  std::uint32_t chosen_ = 0;
  bool renormalise_ = false;
  DenseMatrix router_;
  // Scratch of one step.
  std::vector<float> probabilities_;        // rows x experts
  std::vector<ExpertChoice> choices_;       // rows x chosen
  std::vector<std::uint32_t> group_rows_;   // rows by expert
  std::vector<float> group_weights_;        // alongside
  std::vector<std::uint32_t> group_begin_;  // experts + 2: the last group is of no expert
  std::vector<ExpertGroup> groups_;
  std::vector<std::uint16_t> chosen_experts_;  // rows x chosen, while it is recorded
  std::vector<float> outputs_;  // rows * chosen x hidden
  std::vector<float> sum_;      // rows x hidden
};

}  // namespace flexpert::engine
