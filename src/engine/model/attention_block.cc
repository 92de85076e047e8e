#include "engine/model/attention_block.h"

#include <algorithm>

#include "engine/kernels/kernels.h"

namespace flexpert::engine {

Result<AttentionBlock> AttentionBlock::load(const Checkpoint& checkpoint, const std::string& prefix, bool qk_norm) {
  const ModelConfig& config = checkpoint.config();
  AttentionBlock block;
  block.heads_ = config.num_heads;
  block.kv_heads_ = config.num_kv_heads;
  block.head_dim_ = config.head_dim;
  block.hidden_ = config.hidden_size;
  const std::uint32_t query_width = config.num_heads * config.head_dim;
  const std::uint32_t kv_width = config.num_kv_heads * config.head_dim;
  FLEXPERT_ASSIGN(block.query_, DenseMatrix::load(checkpoint, prefix + "q_proj.weight", query_width, config.hidden_size));
  FLEXPERT_ASSIGN(block.key_, DenseMatrix::load(checkpoint, prefix + "k_proj.weight", kv_width, config.hidden_size));
  FLEXPERT_ASSIGN(block.value_, DenseMatrix::load(checkpoint, prefix + "v_proj.weight", kv_width, config.hidden_size));
  FLEXPERT_ASSIGN(block.output_, DenseMatrix::load(checkpoint, prefix + "o_proj.weight", config.hidden_size, query_width));
  if (qk_norm) {
    Norms norms;
    FLEXPERT_ASSIGN(norms.query, load_vector(checkpoint, prefix + "q_norm.weight", config.head_dim));
    FLEXPERT_ASSIGN(norms.key, load_vector(checkpoint, prefix + "k_norm.weight", config.head_dim));
    norms.epsilon = config.rms_norm_eps;
    block.norms_ = std::move(norms);
  }
  return block;
}

void AttentionBlock::prepare_row(const StepRows& rows, std::uint32_t row, const LayerCache& cache, const RotaryTable& rotary) {
  const std::uint32_t position = rows.position[row];
  float* query = q_.data() + static_cast<std::size_t>(row) * heads_ * head_dim_;
  for (std::uint32_t head = 0; head < heads_; ++head, query += head_dim_) {
    if (norms_) rms_norm(query, norms_->query.data(), norms_->epsilon, head_dim_, query);
    rotary.rotate(query, position);
  }
  const std::size_t kv_width = static_cast<std::size_t>(kv_heads_) * head_dim_;
  float* key = k_.data() + row * kv_width;
  for (std::uint32_t head = 0; head < kv_heads_; ++head) {
    float* one = key + static_cast<std::size_t>(head) * head_dim_;
    if (norms_) rms_norm(one, norms_->key.data(), norms_->epsilon, head_dim_, one);
    rotary.rotate(one, position);
  }
  const std::size_t at = cache.offset(rows.blocks[row], position);
  std::copy_n(key, kv_width, cache.keys + at);
  std::copy_n(v_.data() + row * kv_width, kv_width, cache.values + at);
}

void AttentionBlock::run(const StepRows& rows, const float* x, const LayerCache& cache, const RotaryTable& rotary, ComputePool& pool,
                         float* residual) {
  const std::size_t count = rows.count();
  const std::size_t query_width = static_cast<std::size_t>(heads_) * head_dim_;
  const std::size_t kv_width = static_cast<std::size_t>(kv_heads_) * head_dim_;
  q_.resize(count * query_width);
  k_.resize(count * kv_width);
  v_.resize(count * kv_width);
  attended_.resize(count * query_width);
  projected_.resize(count * hidden_);
  matmul(query_.view(), x, count, hidden_, q_.data(), query_width, pool);
  matmul(key_.view(), x, count, hidden_, k_.data(), kv_width, pool);
  matmul(value_.view(), x, count, hidden_, v_.data(), kv_width, pool);
  for (std::uint32_t row = 0; row < count; ++row) prepare_row(rows, row, cache, rotary);

  // All keys and values of the step are in the cache now; each row sees the positions up to its own.
  std::uint64_t context = 0;
  std::uint32_t longest = 0;
  for (const std::uint32_t position : rows.position) {
    context += position + 1;
    longest = std::max(longest, position + 1);
  }
  constexpr std::uint64_t kLeastWork = 65536;  // multiply-adds worth a thread
  const std::uint64_t head_work = 2 * context * head_dim_ / count + 1;
  const auto grain = static_cast<std::uint32_t>(kLeastWork / head_work + 1);
  pool.parallel_for(static_cast<std::uint32_t>(count) * heads_, grain, [&](std::uint32_t begin, std::uint32_t end) {
    std::vector<float> scores(longest);
    while (begin < end) {
      const std::uint32_t row = begin / heads_;
      const std::uint32_t first = begin % heads_;
      const std::uint32_t last = std::min(heads_, first + (end - begin));
      attend(q_.data() + row * query_width, cache, rows.blocks[row], rows.position[row] + 1, heads_, first, last,
             attended_.data() + row * query_width, scores.data());
      begin += last - first;
    }
  });
  matmul(output_.view(), attended_.data(), count, query_width, projected_.data(), hidden_, pool);
  add_to(projected_.data(), count * hidden_, residual);
}

}  // namespace flexpert::engine
