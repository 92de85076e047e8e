// Qwen3-MoE: RMS norms before both blocks, an RMS norm of every query and key head before the rotary embedding, softmax
// router over all experts; layers in mlp_only_layers and off the sparse step are dense (transformers: models/qwen3_moe).
#include "engine/model/families/decoder_family.h"

namespace flexpert::engine {
namespace {

Result<DecoderLayer> build_layer(const Checkpoint& checkpoint, std::uint32_t index) {
  const ModelConfig& config = checkpoint.config();
  const std::string prefix = fmt::format("model.layers.{}.", index);
  DecoderLayer layer;
  FLEXPERT_ASSIGN(layer.attention_norm, load_vector(checkpoint, prefix + "input_layernorm.weight", config.hidden_size));
  FLEXPERT_ASSIGN(layer.attention, AttentionBlock::load(checkpoint, prefix + "self_attn.", true));
  FLEXPERT_ASSIGN(layer.feed_forward_norm, load_vector(checkpoint, prefix + "post_attention_layernorm.weight", config.hidden_size));
  if (config.is_moe_layer(index)) {
    FLEXPERT_ASSIGN(layer.feed_forward, MoeBlock::load(checkpoint, prefix + "mlp.", index));
  } else {
    FLEXPERT_ASSIGN(layer.feed_forward, MlpBlock::load(checkpoint, prefix + "mlp.", config.intermediate_size));
  }
  return layer;
}

Result<DecoderParts> build(std::shared_ptr<const Checkpoint> checkpoint) {
  const ModelConfig& config = checkpoint->config();
  DecoderParts parts;
  const std::string embedding = "model.embed_tokens.weight";
  FLEXPERT_ASSIGN(parts.embedding, TokenEmbedding::load(checkpoint, embedding, config.vocab_size, config.hidden_size));
  for (std::uint32_t i = 0; i < config.num_layers; ++i) {
    FLEXPERT_ASSIGN(DecoderLayer layer, build_layer(*checkpoint, i));
    parts.layers.push_back(std::move(layer));
  }
  FLEXPERT_ASSIGN(parts.final_norm, load_vector(*checkpoint, "model.norm.weight", config.hidden_size));
  FLEXPERT_ASSIGN(parts.head, DenseMatrix::load(*checkpoint, config.tie_word_embeddings ? embedding : "lm_head.weight",
                                                config.vocab_size, config.hidden_size));
  return parts;
}

}  // namespace

const DecoderFamily kQwen3MoeDecoder{.architecture = "Qwen3MoeForCausalLM", .build = build};

}  // namespace flexpert::engine
