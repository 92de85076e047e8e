#include "engine/model/mlp_block.h"

#include "engine/kernels/elementwise.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {

Result<MlpBlock> MlpBlock::load(const Checkpoint& checkpoint, const std::string& prefix, std::uint32_t intermediate) {
  const std::uint32_t hidden = checkpoint.config().hidden_size;
  MlpBlock block;
  FLEXPERT_ASSIGN(block.gate_, DenseMatrix::load(checkpoint, prefix + "gate_proj.weight", intermediate, hidden));
  FLEXPERT_ASSIGN(block.up_, DenseMatrix::load(checkpoint, prefix + "up_proj.weight", intermediate, hidden));
  FLEXPERT_ASSIGN(block.down_, DenseMatrix::load(checkpoint, prefix + "down_proj.weight", hidden, intermediate));
  return block;
}

void MlpBlock::run(const float* x, std::uint32_t rows, ComputePool& pool, float* residual) {
  const std::size_t hidden = gate_.view().inputs;
  const std::size_t inner = gate_.view().outputs;
  gated_.resize(rows * inner);
  upped_.resize(rows * inner);
  out_.resize(rows * hidden);
  matmul(gate_.view(), x, rows, hidden, gated_.data(), inner, pool);
  matmul(up_.view(), x, rows, hidden, upped_.data(), inner, pool);
  silu_multiply(gated_.data(), upped_.data(), rows * inner);
  matmul(down_.view(), gated_.data(), rows, inner, out_.data(), hidden, pool);
  add_to(out_.data(), rows * hidden, residual);
}

}  // namespace flexpert::engine
