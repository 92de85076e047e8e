#include "engine/model/decoder.h"

#include <algorithm>

#include "engine/kernels/kernels.h"
#include "engine/model/families/decoder_family.h"

namespace flexpert::engine {

Result<std::unique_ptr<Decoder>> Decoder::load(std::shared_ptr<const Checkpoint> checkpoint, std::uint32_t max_context) {
  const ModelConfig& config = checkpoint->config();
  const DecoderFamily* family = find_decoder_family(config.architecture);
  if (family == nullptr) return fail(ErrorCode::kInvalidArgument, "no decoder for the architecture {}", config.architecture);
  FLEXPERT_ASSIGN(DecoderParts parts, family->build(checkpoint));
  return std::make_unique<Decoder>(config, std::move(parts), max_context);
}

Decoder::Decoder(const ModelConfig& config, DecoderParts parts, std::uint32_t max_context)
    : config_(config),
      parts_(std::move(parts)),
      rotary_(config.head_dim, config.rope_theta, max_context),
      loads_(config.expert_geometry()) {}

void Decoder::gather(std::span<const SequenceRows> sequences, std::uint64_t step) {
  rows_.step = step;
  rows_.position.clear();
  rows_.blocks.clear();
  rows_.masks.clear();
  for (const SequenceRows& sequence : sequences)
    for (std::uint32_t i = 0; i < sequence.tokens.size(); ++i) {
      rows_.position.push_back(sequence.first_position + i);
      rows_.blocks.push_back(sequence.blocks);
    }
  if (std::ranges::any_of(sequences, [](const SequenceRows& sequence) { return sequence.mask != nullptr; }))
    for (const SequenceRows& sequence : sequences) rows_.masks.insert(rows_.masks.end(), sequence.tokens.size(), sequence.mask);
  x_.resize(static_cast<std::size_t>(rows_.count()) * config_.hidden_size);
  normalised_.resize(x_.size());
  float* row = x_.data();
  for (const SequenceRows& sequence : sequences)
    for (const TokenId token : sequence.tokens) {
      parts_.embedding.read(static_cast<std::uint32_t>(token), row);
      row += config_.hidden_size;
    }
}

void Decoder::normalise(const std::vector<float>& weight) {
  const std::size_t hidden = config_.hidden_size;
  for (std::size_t at = 0; at < x_.size(); at += hidden)
    rms_norm(x_.data() + at, weight.data(), config_.rms_norm_eps, hidden, normalised_.data() + at);
}

std::span<const float> Decoder::forward(std::span<const SequenceRows> sequences, std::uint64_t step, const KvCache& cache,
                                        ExpertExecutor& executor, ComputePool& pool) {
  gather(sequences, step);
  placement::Recorder* const recorder = recorder_ != nullptr && recorder_->recording() ? recorder_ : nullptr;
  if (recorder != nullptr) recorder->begin_step(step);
  for (std::uint32_t l = 0; l < parts_.layers.size(); ++l) {
    DecoderLayer& layer = parts_.layers[l];
    normalise(layer.attention_norm);
    layer.attention.run(rows_, normalised_.data(), cache.layer(l), rotary_, pool, x_.data());
    normalise(layer.feed_forward_norm);
    if (auto* moe = std::get_if<MoeBlock>(&layer.feed_forward)) {
      moe->run(rows_, normalised_.data(), executor, loads_, recorder, pool, x_.data());
    } else {
      std::get<MlpBlock>(layer.feed_forward).run(normalised_.data(), rows_.count(), pool, x_.data());
    }
  }
  if (recorder != nullptr) recorder->end_step();
  const std::size_t hidden = config_.hidden_size;
  last_.clear();
  std::size_t end = 0;
  for (const SequenceRows& sequence : sequences) {
    end += sequence.tokens.size();
    if (!sequence.logits_wanted) continue;
    last_.resize(last_.size() + hidden);
    rms_norm(x_.data() + (end - 1) * hidden, parts_.final_norm.data(), config_.rms_norm_eps, hidden, last_.data() + last_.size() - hidden);
  }
  const std::size_t wanted = last_.size() / hidden;
  logits_.resize(wanted * config_.vocab_size);
  matmul(parts_.head.view(), last_.data(), wanted, hidden, logits_.data(), config_.vocab_size, pool);
  return logits_;
}

}  // namespace flexpert::engine
