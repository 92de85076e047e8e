#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/kernels/attention.h"
#include "engine/kernels/compute_pool.h"
#include "engine/kernels/elementwise.h"
#include "engine/model/dense_weights.h"
#include "engine/model/step_rows.h"

namespace flexpert::engine {

/// Grouped-query attention with rotary embedding and, in some families, an RMS norm of every query and key head.
class AttentionBlock {
 public:
  struct Norms {
    std::vector<float> query;  ///< head_dim
    std::vector<float> key;
    float epsilon = 1e-6F;
  };

  /// Reads PREFIX{q,k,v,o}_proj.weight and, with `qk_norm`, PREFIX{q,k}_norm.weight.
  static Result<AttentionBlock> load(const Checkpoint& checkpoint, const std::string& prefix, bool qk_norm);

  /// Writes the keys and values of the rows into the cache, attends, and adds the result to `residual`.
  /// `x` and `residual` are rows x hidden.
  void run(const StepRows& rows, const float* x, const LayerCache& cache, const RotaryTable& rotary, ComputePool& pool, float* residual);

 private:
  void prepare_row(const StepRows& rows, std::uint32_t row, const LayerCache& cache, const RotaryTable& rotary);

  std::uint32_t heads_ = 0;
  std::uint32_t kv_heads_ = 0;
  std::uint32_t head_dim_ = 0;
  std::uint32_t hidden_ = 0;
  DenseMatrix query_;
  DenseMatrix key_;
  DenseMatrix value_;
  DenseMatrix output_;
  std::optional<Norms> norms_;
  // Scratch, rows x width.
  std::vector<float> q_;
  std::vector<float> k_;
  std::vector<float> v_;
  std::vector<float> attended_;
  std::vector<float> projected_;
};

}  // namespace flexpert::engine
