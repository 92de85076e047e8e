#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "base/result.h"
#include "engine/kernels/compute_pool.h"
#include "engine/kernels/elementwise.h"
#include "engine/model/attention_block.h"
#include "engine/model/dense_weights.h"
#include "engine/model/expert_executor.h"
#include "engine/model/kv_cache.h"
#include "engine/model/mlp_block.h"
#include "engine/model/moe_block.h"
#include "engine/model/step_rows.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::engine {

/// A decoder layer: x += attention(norm(x)); x += feed-forward(norm(x)).
struct DecoderLayer {
  std::vector<float> attention_norm;
  AttentionBlock attention;
  std::vector<float> feed_forward_norm;
  std::variant<MlpBlock, MoeBlock> feed_forward;
};

/// What a model family makes of a checkpoint.
struct DecoderParts {
  TokenEmbedding embedding;
  std::vector<DecoderLayer> layers;
  std::vector<float> final_norm;
  DenseMatrix head;  ///< vocabulary x hidden
};

/// The dense part of a model with its layers in order. Belongs to one thread, but for embedding() and loads().
class Decoder {
 public:
  /// Loads and packs the dense weights of any supported family. Errors name the architecture or the tensor.
  static Result<std::unique_ptr<Decoder>> load(std::shared_ptr<const Checkpoint> checkpoint, std::uint32_t max_context);

  Decoder(const ModelConfig& config, DecoderParts parts, std::uint32_t max_context);

  /// Computes the rows and keeps their keys and values in `cache`. Returns the logits of the sequences that want them,
  /// in order, vocab_size floats each; valid until the next call. A row's bits depend on its own sequence alone.
  std::span<const float> forward(std::span<const SequenceRows> sequences, std::uint64_t step, const KvCache& cache, ExpertExecutor& executor,
                                 ComputePool& pool);

  /// Has every step's routing told to `recorder` while that is recording; null: to nobody. It must outlive the decoder.
  void record_to(placement::Recorder* recorder) { recorder_ = recorder; }

  /// Any thread.
  [[nodiscard]] const TokenEmbedding& embedding() const { return parts_.embedding; }
  /// Any thread.
  [[nodiscard]] const ExpertLoads& loads() const { return loads_; }

 private:
  void gather(std::span<const SequenceRows> sequences, std::uint64_t step);
  void normalise(const std::vector<float>& weight);

  ModelConfig config_;
  DecoderParts parts_;
  RotaryTable rotary_;
  ExpertLoads loads_;
  placement::Recorder* recorder_ = nullptr;
  StepRows rows_;
  std::vector<float> x_;           // rows x hidden, the residual stream
  std::vector<float> normalised_;  // rows x hidden
  std::vector<float> last_;        // wanted rows x hidden
  std::vector<float> logits_;      // wanted rows x vocabulary
};

}  // namespace flexpert::engine
