// Qwen3-MoE (transformers: models/qwen3_moe/configuration_qwen3_moe.py, modeling_qwen3_moe.py).
#include <algorithm>

#include "engine/weights/families/family.h"

namespace flexpert::engine {
namespace {

/// Refuses what changes the computation and is not implemented.
Result<void> refuse_unsupported(const ConfigFields& fields) {
  FLEXPERT_ASSIGN(const std::string act, fields.text_or("hidden_act", "silu"));
  if (act != "silu") return fail(ErrorCode::kInvalidArgument, "only hidden_act \"silu\" is supported: {}", act);
  FLEXPERT_ASSIGN(const bool bias, fields.boolean_or("attention_bias", false));
  if (bias) return fail(ErrorCode::kInvalidArgument, "attention_bias true is not supported");
  FLEXPERT_ASSIGN(const bool sliding, fields.boolean_or("use_sliding_window", false));
  if (sliding) return fail(ErrorCode::kInvalidArgument, "sliding window attention is not supported: use_sliding_window is true");
  FLEXPERT_ASSIGN(const auto layer_types, fields.texts("layer_types"));
  for (const std::string& type : layer_types)
    if (type != "full_attention")
      return fail(ErrorCode::kInvalidArgument, "only full_attention layers are supported: layer_types has {}", type);
  if (fields.has("quantization_config"))
    return fail(ErrorCode::kInvalidArgument, "quantized checkpoints are not supported (F32 and BF16 are): quantization_config is set");
  if (fields.has("rope_scaling"))
    return fail(ErrorCode::kInvalidArgument, "rope_scaling is not supported: set it to null to use the trained context only");
  return {};
}

/// rope_theta stands at the top, or (transformers 5) inside rope_parameters.
Result<double> rope_theta(const ConfigFields& fields) {
  FLEXPERT_ASSIGN(const auto parameters, fields.object("rope_parameters"));
  if (!parameters) return fields.positive_or("rope_theta", 10000.0);
  FLEXPERT_ASSIGN(const std::string type, parameters->text_or("rope_type", "default"));
  if (type != "default") return fail(ErrorCode::kInvalidArgument, "only rope_type \"default\" is supported: rope_parameters has {}", type);
  FLEXPERT_ASSIGN(const double outer, fields.positive_or("rope_theta", 10000.0));
  return parameters->positive_or("rope_theta", outer);
}

Result<void> read_experts(const ConfigFields& fields, ModelConfig& config) {
  FLEXPERT_ASSIGN(config.num_experts, fields.integer("num_experts", 1, 65536));
  FLEXPERT_ASSIGN(config.experts_per_token, fields.integer("num_experts_per_tok", 1, 65536));
  if (config.experts_per_token > config.num_experts)
    return fail(ErrorCode::kInvalidArgument, "num_experts_per_tok is larger than num_experts: {} > {}", config.experts_per_token,
                config.num_experts);
  FLEXPERT_ASSIGN(config.moe_intermediate_size, fields.integer("moe_intermediate_size", 1, 1U << 20));
  FLEXPERT_ASSIGN(config.norm_topk_prob, fields.boolean_or("norm_topk_prob", false));
  FLEXPERT_ASSIGN(config.decoder_sparse_step, fields.integer_or("decoder_sparse_step", 1, 65536, 1));
  FLEXPERT_ASSIGN(config.mlp_only_layers, fields.integers("mlp_only_layers", config.num_layers - 1));
  bool dense = false;
  for (std::uint32_t layer = 0; layer < config.num_layers; ++layer) dense = dense || !config.is_moe_layer(layer);
  FLEXPERT_ASSIGN(config.intermediate_size, dense ? fields.integer("intermediate_size", 1, 1U << 20)
                                                  : fields.integer_or("intermediate_size", 0, 1U << 20, 0));
  return {};
}

Result<ModelConfig> parse(const ConfigFields& fields) {
  FLEXPERT_TRY(refuse_unsupported(fields));
  ModelConfig config;
  FLEXPERT_ASSIGN(config.hidden_size, fields.integer("hidden_size", 1, 1U << 20));
  FLEXPERT_ASSIGN(config.num_layers, fields.integer("num_hidden_layers", 1, 4096));
  FLEXPERT_ASSIGN(config.num_heads, fields.integer("num_attention_heads", 1, 4096));
  FLEXPERT_ASSIGN(config.num_kv_heads, fields.integer("num_key_value_heads", 1, 4096));
  if (config.num_heads % config.num_kv_heads != 0)
    return fail(ErrorCode::kInvalidArgument, "num_attention_heads must be a multiple of num_key_value_heads: {} and {}", config.num_heads,
                config.num_kv_heads);
  if (!fields.has("head_dim") && config.hidden_size % config.num_heads != 0)
    return fail(ErrorCode::kInvalidArgument, "hidden_size must be a multiple of num_attention_heads when head_dim is missing: {} and {}",
                config.hidden_size, config.num_heads);
  FLEXPERT_ASSIGN(config.head_dim, fields.integer_or("head_dim", 2, 65536, config.hidden_size / config.num_heads));
  if (config.head_dim % 2 != 0 || config.head_dim == 0)
    return fail(ErrorCode::kInvalidArgument, "head_dim must be even for rotary embeddings: {}", config.head_dim);
  FLEXPERT_TRY(read_experts(fields, config));
  FLEXPERT_ASSIGN(config.vocab_size, fields.integer("vocab_size", 1, 1U << 24));
  FLEXPERT_ASSIGN(config.max_positions, fields.integer("max_position_embeddings", 1, 1U << 28));
  FLEXPERT_ASSIGN(const double eps, fields.positive_or("rms_norm_eps", 1e-6));
  config.rms_norm_eps = static_cast<float>(eps);
  FLEXPERT_ASSIGN(config.rope_theta, rope_theta(fields));
  FLEXPERT_ASSIGN(config.tie_word_embeddings, fields.boolean_or("tie_word_embeddings", false));
  return config;
}

void add_mlp(std::vector<ExpectedTensor>& tensors, const std::string& prefix, std::uint64_t hidden, std::uint64_t width) {
  tensors.push_back({prefix + "gate_proj.weight", {width, hidden}});
  tensors.push_back({prefix + "up_proj.weight", {width, hidden}});
  tensors.push_back({prefix + "down_proj.weight", {hidden, width}});
}

std::vector<ExpectedTensor> tensors(const ModelConfig& c) {
  const std::uint64_t hidden = c.hidden_size;
  const std::uint64_t head = c.head_dim;
  const std::uint64_t q = c.num_heads * head;
  const std::uint64_t kv = c.num_kv_heads * head;
  std::vector<ExpectedTensor> all;
  all.push_back({"model.embed_tokens.weight", {c.vocab_size, hidden}});
  all.push_back({"model.norm.weight", {hidden}});
  if (!c.tie_word_embeddings) all.push_back({"lm_head.weight", {c.vocab_size, hidden}});
  for (std::uint32_t layer = 0; layer < c.num_layers; ++layer) {
    const std::string at = fmt::format("model.layers.{}.", layer);
    all.push_back({at + "input_layernorm.weight", {hidden}});
    all.push_back({at + "post_attention_layernorm.weight", {hidden}});
    all.push_back({at + "self_attn.q_proj.weight", {q, hidden}});
    all.push_back({at + "self_attn.k_proj.weight", {kv, hidden}});
    all.push_back({at + "self_attn.v_proj.weight", {kv, hidden}});
    all.push_back({at + "self_attn.o_proj.weight", {hidden, q}});
    all.push_back({at + "self_attn.q_norm.weight", {head}});
    all.push_back({at + "self_attn.k_norm.weight", {head}});
    if (!c.is_moe_layer(layer)) {
      add_mlp(all, at + "mlp.", hidden, c.intermediate_size);
      continue;
    }
    all.push_back({at + "mlp.gate.weight", {c.num_experts, hidden}});
    for (std::uint32_t expert = 0; expert < c.num_experts; ++expert)
      add_mlp(all, fmt::format("{}mlp.experts.{}.", at, expert), hidden, c.moe_intermediate_size);
  }
  return all;
}

}  // namespace

const Family kQwen3Moe = {"Qwen3MoeForCausalLM", "qwen3_moe", &parse, &tensors};

}  // namespace flexpert::engine
