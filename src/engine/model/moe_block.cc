#include "engine/model/moe_block.h"

#include <algorithm>
#include <numeric>

#include "engine/kernels/elementwise.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {

std::vector<std::uint64_t> ExpertLoads::snapshot() const {
  std::vector<std::uint64_t> rows;
  rows.reserve(rows_.size());
  for (const auto& count : rows_) rows.push_back(count.load(std::memory_order_relaxed));
  return rows;
}

void choose_experts(const float* probabilities, std::uint32_t experts, std::uint32_t count, bool renormalise, ExpertChoice* choices) {
  // Insertion into a sorted list of `count`: ascending index and strict comparison give ties to the lower index.
  std::uint32_t held = 0;
  for (std::uint32_t e = 0; e < experts; ++e) {
    const float p = probabilities[e];
    if (held == count && !(p > choices[held - 1].weight)) continue;
    std::uint32_t at = held < count ? held++ : held - 1;
    for (; at > 0 && p > choices[at - 1].weight; --at) choices[at] = choices[at - 1];
    choices[at] = {e, p};
  }
  if (!renormalise) return;
  float sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += choices[i].weight;
  for (std::uint32_t i = 0; i < count; ++i) choices[i].weight /= sum;
}

Result<MoeBlock> MoeBlock::load(const Checkpoint& checkpoint, const std::string& prefix, std::uint32_t layer) {
  const ModelConfig& config = checkpoint.config();
  MoeBlock block;
  block.layer_ = layer;
  block.hidden_ = config.hidden_size;
  block.experts_ = config.num_experts;
  block.chosen_ = config.experts_per_token;
  block.renormalise_ = config.norm_topk_prob;
  FLEXPERT_ASSIGN(block.router_, DenseMatrix::load(checkpoint, prefix + "gate.weight", config.num_experts, config.hidden_size));
  return block;
}

void MoeBlock::route(std::uint32_t rows, const float* x, ComputePool& pool) {
  probabilities_.resize(static_cast<std::size_t>(rows) * experts_);
  choices_.resize(static_cast<std::size_t>(rows) * chosen_);
  matmul(router_.view(), x, rows, hidden_, probabilities_.data(), experts_, pool);
  for (std::size_t row = 0; row < rows; ++row) {
    softmax(probabilities_.data() + row * experts_, experts_);
    choose_experts(probabilities_.data() + row * experts_, experts_, chosen_, renormalise_, choices_.data() + row * chosen_);
  }
}

void MoeBlock::group(std::uint32_t rows) {
  group_begin_.assign(experts_ + 1, 0);
  for (const ExpertChoice& choice : choices_) ++group_begin_[choice.expert + 1];
  std::partial_sum(group_begin_.begin(), group_begin_.end(), group_begin_.begin());
  group_rows_.resize(choices_.size());
  group_weights_.resize(choices_.size());
  std::vector<std::uint32_t> next(group_begin_.begin(), group_begin_.end() - 1);
  for (std::uint32_t row = 0; row < rows; ++row)
    for (std::uint32_t i = 0; i < chosen_; ++i) {
      const ExpertChoice& choice = choices_[static_cast<std::size_t>(row) * chosen_ + i];
      const std::uint32_t at = next[choice.expert]++;
      group_rows_[at] = row;
      group_weights_[at] = choice.weight;
    }
}

void MoeBlock::record(placement::Recorder& recorder) {
  chosen_experts_.resize(choices_.size());
  for (std::size_t i = 0; i < choices_.size(); ++i) chosen_experts_[i] = static_cast<std::uint16_t>(choices_[i].expert);
  recorder.add_layer(layer_, chosen_experts_, chosen_);
}

void MoeBlock::run(const StepRows& rows, const float* x, ExpertExecutor& executor, ExpertLoads& loads, placement::Recorder* recorder,
                   ComputePool& pool, float* residual) {
  const std::uint32_t count = rows.count();
  route(count, x, pool);
  if (recorder != nullptr) record(*recorder);
  group(count);
  outputs_.resize(choices_.size() * hidden_);
  groups_.clear();
  for (std::uint32_t e = 0; e < experts_; ++e) {
    const std::uint32_t begin = group_begin_[e];
    const std::uint32_t size = group_begin_[e + 1] - begin;
    if (size == 0) continue;
    groups_.push_back({.expert = e,
                       .rows = std::span(group_rows_).subspan(begin, size),
                       .out = outputs_.data() + static_cast<std::size_t>(begin) * hidden_});
    loads.add({layer_, e}, size);
  }
  executor.compute({.layer = layer_,
                    .step = rows.step,
                    .rows = std::span(x, static_cast<std::size_t>(count) * hidden_),
                    .row_count = count,
                    .hidden = hidden_,
                    .groups = groups_});
  // Groups come by ascending expert, so each row's sum runs in that order whatever the batch.
  sum_.assign(static_cast<std::size_t>(count) * hidden_, 0.0F);
  for (std::size_t at = 0; at < group_rows_.size(); ++at)
    add_scaled(group_weights_[at], outputs_.data() + at * hidden_, hidden_, sum_.data() + static_cast<std::size_t>(group_rows_[at]) * hidden_);
  add_to(sum_.data(), sum_.size(), residual);
}

}  // namespace flexpert::engine
