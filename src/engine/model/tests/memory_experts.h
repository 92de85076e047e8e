#pragma once

#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "engine/kernels/kernels.h"
#include "engine/model/dense_weights.h"
#include "engine/model/expert_executor.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::engine {

/// Computes experts from weights packed in memory; records which experts each row of each layer had, if asked.
class MemoryExperts final : public ExpertExecutor {
 public:
  explicit MemoryExperts(const Checkpoint& checkpoint) {
    const ModelConfig& config = checkpoint.config();
    for (std::uint32_t l = 0; l < config.num_layers; ++l) {
      if (!config.is_moe_layer(l)) continue;
      for (std::uint32_t e = 0; e < config.num_experts; ++e) {
        const std::string prefix = fmt::format("model.layers.{}.mlp.experts.{}.", l, e);
        Expert expert{.gate = load(checkpoint, prefix + "gate_proj.weight", config.moe_intermediate_size, config.hidden_size),
                      .up = load(checkpoint, prefix + "up_proj.weight", config.moe_intermediate_size, config.hidden_size),
                      .down = load(checkpoint, prefix + "down_proj.weight", config.hidden_size, config.moe_intermediate_size)};
        experts_.emplace(std::pair{l, e}, std::move(expert));
      }
    }
  }

  void begin_step(std::uint64_t) override { ++steps_; }

  void compute(const ExpertBatch& batch) override {
    for (const ExpertGroup& group : batch.groups) {
      const Expert& expert = experts_.at({batch.layer, group.expert});
      const ExpertWeights weights{expert.gate.view(), expert.up.view(), expert.down.view()};
      const std::size_t count = group.rows.size();
      std::vector<float> rows;
      for (const std::uint32_t row : group.rows) {
        const auto from = batch.rows.begin() + static_cast<std::ptrdiff_t>(row) * batch.hidden;
        rows.insert(rows.end(), from, from + batch.hidden);
      }
      std::vector<float> scratch(expert_scratch_floats(weights, count));
      expert_mlp(weights, rows.data(), count, group.out, scratch.data());
    }
    if (recording_) record(batch);
  }

  /// chosen()[layer][row] lists the row's experts, ascending, of every step since the call.
  void start_recording() { recording_ = true; }
  [[nodiscard]] const std::map<std::uint32_t, std::vector<std::vector<std::uint32_t>>>& chosen() const { return chosen_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  struct Expert {
    DenseMatrix gate;
    DenseMatrix up;
    DenseMatrix down;
  };

  static DenseMatrix load(const Checkpoint& checkpoint, const std::string& name, std::uint32_t outputs, std::uint32_t inputs) {
    auto matrix = DenseMatrix::load(checkpoint, name, outputs, inputs);
    FLEXPERT_CHECK(matrix.has_value(), name);
    return std::move(*matrix);
  }

  void record(const ExpertBatch& batch) {
    auto& layer = chosen_[batch.layer];
    const std::size_t first = layer.size();
    layer.resize(first + batch.row_count);
    for (const ExpertGroup& group : batch.groups)
      for (const std::uint32_t row : group.rows) layer[first + row].push_back(group.expert);
  }

  std::map<std::pair<std::uint32_t, std::uint32_t>, Expert> experts_;
  bool recording_ = false;
  std::map<std::uint32_t, std::vector<std::vector<std::uint32_t>>> chosen_;
  std::uint64_t steps_ = 0;
};

}  // namespace flexpert::engine
