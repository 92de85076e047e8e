#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/expert_slot.h"

namespace flexpert::engine {

/// What config.json says of a decoder, in one vocabulary for every family.
struct ModelConfig {
  std::string architecture;  ///< "Qwen3MoeForCausalLM"
  std::string model_type;    ///< "qwen3_moe"
  std::uint32_t hidden_size = 0;
  std::uint32_t num_layers = 0;
  std::uint32_t num_heads = 0;
  std::uint32_t num_kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t intermediate_size = 0;      ///< dense MLP layers
  std::uint32_t moe_intermediate_size = 0;
  std::uint32_t num_experts = 0;
  std::uint32_t experts_per_token = 0;
  bool norm_topk_prob = false;
  std::uint32_t decoder_sparse_step = 1;
  std::vector<std::uint32_t> mlp_only_layers;
  std::uint32_t vocab_size = 0;
  std::uint32_t max_positions = 0;
  float rms_norm_eps = 1e-6F;
  double rope_theta = 10000.0;
  bool tie_word_embeddings = false;
  std::vector<std::int32_t> eos_token_ids;  ///< from generation_config.json if there, else config.json

  /// Tells whether `layer` has experts (Hugging Face: not in mlp_only_layers and (layer + 1) % decoder_sparse_step == 0).
  [[nodiscard]] bool is_moe_layer(std::uint32_t layer) const;
  [[nodiscard]] ExpertGeometry expert_geometry() const { return {num_layers, num_experts}; }
};

/// Reads the text of a config.json and, if there, of the generation_config.json beside it. Errors name file and field;
/// an unsupported architecture's error lists the supported ones, and what changes the computation without being
/// implemented (rope_scaling, attention_bias, sliding windows, other activations, quantization) is refused.
Result<ModelConfig> parse_model_config(std::string_view config_json, std::optional<std::string_view> generation_config_json = {});

}  // namespace flexpert::engine
