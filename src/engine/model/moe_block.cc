#include "engine/model/moe_block.h"

#include <algorithm>
#include <limits>
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

namespace {

/// `expert_at(i)`: the candidates, ascending; `count` of them at most.
template <class ExpertAt>
void choose_among(const float* probabilities, std::uint32_t candidates, ExpertAt expert_at, std::uint32_t count, bool renormalise,
                  ExpertChoice* choices) {
  // Insertion into a sorted list of `count`: ascending index and strict comparison give ties to the lower index.
  std::uint32_t held = 0;
  for (std::uint32_t i = 0; i < candidates; ++i) {
    const std::uint32_t e = expert_at(i);
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

}  // namespace

void choose_experts(const float* probabilities, std::uint32_t experts, std::uint32_t count, bool renormalise, ExpertChoice* choices) {
  choose_among(probabilities, experts, [](std::uint32_t i) { return i; }, count, renormalise, choices);
}

void choose_allowed_experts(const float* probabilities, std::uint32_t experts, std::span<const std::uint32_t> allowed, std::uint32_t count,
                            bool renormalise, ExpertChoice* choices) {
  const std::uint32_t some = std::min(count, static_cast<std::uint32_t>(allowed.size()));
  choose_among(probabilities, static_cast<std::uint32_t>(allowed.size()), [&](std::uint32_t i) { return allowed[i]; }, some, renormalise,
      choices);
  std::fill(choices + some, choices + count, ExpertChoice{experts, 0});
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

void MoeBlock::choose(const ExpertMask* mask, float* logits, ExpertChoice* choices) const {
  if (mask == nullptr || mask->forbidden(layer_).empty()) {
    softmax(logits, experts_);
    return choose_experts(logits, experts_, chosen_, renormalise_, choices);
  }
  for (const std::uint32_t expert : mask->forbidden(layer_)) logits[expert] = -std::numeric_limits<float>::infinity();
  softmax(logits, experts_);
  choose_allowed_experts(logits, experts_, mask->allowed(layer_), chosen_, renormalise_, choices);
}

void MoeBlock::route(const StepRows& rows, const float* x, ComputePool& pool) {
  const std::uint32_t count = rows.count();
  probabilities_.resize(static_cast<std::size_t>(count) * experts_);
  choices_.resize(static_cast<std::size_t>(count) * chosen_);
  matmul(router_.view(), x, count, hidden_, probabilities_.data(), experts_, pool);
  for (std::size_t row = 0; row < count; ++row)
    choose(rows.masks.empty() ? nullptr : rows.masks[row], probabilities_.data() + row * experts_, choices_.data() + row * chosen_);
}

void MoeBlock::group(std::uint32_t rows) {
  group_begin_.assign(experts_ + 2, 0);
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
  route(rows, x, pool);
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
                    .groups = groups_,
                    .masks = rows.masks});
  // Groups come by ascending expert, so each row's sum runs in that order whatever the batch.
  sum_.assign(static_cast<std::size_t>(count) * hidden_, 0.0F);
  for (std::size_t at = 0, end = group_begin_[experts_]; at < end; ++at)
    add_scaled(group_weights_[at], outputs_.data() + at * hidden_, hidden_,
        sum_.data() + static_cast<std::size_t>(group_rows_[at]) * hidden_);
  add_to(sum_.data(), sum_.size(), residual);
}

}  // namespace flexpert::engine
