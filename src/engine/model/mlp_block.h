#pragma once

#include <string>
#include <vector>

#include "engine/kernels/compute_pool.h"
#include "engine/model/dense_weights.h"

namespace flexpert::engine {

/// The feed-forward network of a layer without experts: down(silu(gate x) * up x).
class MlpBlock {
 public:
  /// Reads PREFIX{gate,up,down}_proj.weight.
  static Result<MlpBlock> load(const Checkpoint& checkpoint, const std::string& prefix, std::uint32_t intermediate);
  /// Adds the network of `x` (rows x hidden) to `residual`.
  void run(const float* x, std::uint32_t rows, ComputePool& pool, float* residual);

 private:
  DenseMatrix gate_;
  DenseMatrix up_;
  DenseMatrix down_;
  std::vector<float> gated_;
  std::vector<float> upped_;
  std::vector<float> out_;
};

}  // namespace flexpert::engine
