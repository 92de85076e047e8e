#include "engine/weights/model_config.h"

#include <fstream>
#include <functional>
#include <iterator>

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

namespace json = boost::json;

json::object shipped() {
  std::ifstream file(std::string(FLEXPERT_SOURCE_DIR) + "/models/flexpert-tiny-moe/config.json");
  return json::parse(std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>())).as_object();
}

Result<ModelConfig> with(const char* field, const json::value& value) {
  json::object config = shipped();
  config[field] = value;
  return parse_model_config(json::serialize(config));
}

void expect_refused(const char* field, const json::value& value, const std::string& part) {
  const auto config = with(field, value);
  ASSERT_FALSE(config) << field;
  EXPECT_TRUE(config.error().message.starts_with("config.json")) << config.error().message;
  EXPECT_NE(config.error().message.find(part), std::string::npos) << config.error().message;
}

TEST(ModelConfig, ReadsTheShippedOne) {
  const auto config = parse_model_config(json::serialize(shipped()));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->hidden_size, 192U);
  EXPECT_EQ(config->head_dim, 32U);
  EXPECT_EQ(config->num_kv_heads, 2U);
  EXPECT_EQ(config->expert_geometry(), (ExpertGeometry{6, 32}));
  EXPECT_DOUBLE_EQ(config->rope_theta, 10000.0);
  EXPECT_TRUE(config->tie_word_embeddings);
  EXPECT_EQ(config->eos_token_ids, std::vector<std::int32_t>{2047});
}

TEST(ModelConfig, TakesEndTokensFromTheGenerationConfig) {
  const std::string text = json::serialize(shipped());
  EXPECT_EQ(parse_model_config(text, R"({"eos_token_id":[5,6]})")->eos_token_ids, (std::vector<std::int32_t>{5, 6}));
  EXPECT_EQ(parse_model_config(text, "{}")->eos_token_ids, std::vector<std::int32_t>{2047});
  const auto outside = parse_model_config(text, R"({"eos_token_id":2048})");
  ASSERT_FALSE(outside);
  EXPECT_NE(outside.error().message.find("generation_config.json: field must hold whole numbers from 0 to 2047"), std::string::npos);
}

TEST(ModelConfig, TellsSparseLayers) {
  const auto step = with("decoder_sparse_step", 2);
  ASSERT_TRUE(step);
  EXPECT_FALSE(step->is_moe_layer(0));
  EXPECT_TRUE(step->is_moe_layer(1));
  const auto only = with("mlp_only_layers", {3});
  ASSERT_TRUE(only);
  EXPECT_TRUE(only->is_moe_layer(2));
  EXPECT_FALSE(only->is_moe_layer(3));
}

TEST(ModelConfig, DerivesAMissingHeadSize) {
  json::object config = shipped();
  config.erase("head_dim");
  EXPECT_EQ(parse_model_config(json::serialize(config))->head_dim, 32U);
  config["hidden_size"] = 193;
  const auto uneven = parse_model_config(json::serialize(config));
  ASSERT_FALSE(uneven);
  EXPECT_NE(uneven.error().message.find("hidden_size must be a multiple of num_attention_heads"), std::string::npos);
}

TEST(ModelConfig, ReadsRopeParameters) {
  EXPECT_DOUBLE_EQ(with("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5e6}})->rope_theta, 5e6);
  expect_refused("rope_parameters", {{"rope_type", "yarn"}}, "only rope_type \"default\" is supported: rope_parameters has yarn");
}

TEST(ModelConfig, RefusesOtherArchitecturesAndListsTheSupported) {
  expect_refused("architectures", {"MambaForCausalLM"}, "unsupported architecture: MambaForCausalLM (supported: Qwen3MoeForCausalLM");
  expect_refused("architectures", nullptr, "required field is missing: architectures");
  expect_refused("architectures", "Qwen3MoeForCausalLM", "must be a list of texts");
  expect_refused("model_type", "llama", "model_type does not belong");
}

TEST(ModelConfig, RefusesWhatItDoesNotImplement) {
  expect_refused("rope_scaling", {{"type", "yarn"}}, "rope_scaling is not supported");
  expect_refused("attention_bias", true, "attention_bias true");
  expect_refused("hidden_act", "gelu", "hidden_act \"silu\"");
  expect_refused("use_sliding_window", true, "sliding window");
  expect_refused("layer_types", {"full_attention", "sliding_attention"}, "layer_types has sliding_attention");
  expect_refused("quantization_config", {{"bits", 4}}, "quantized");
}

TEST(ModelConfig, RefusesBadNumbers) {
  expect_refused("hidden_size", nullptr, "required field is missing: hidden_size");
  expect_refused("hidden_size", 0, "whole number from 1");
  expect_refused("hidden_size", "192", "whole number from 1");
  expect_refused("num_hidden_layers", 1e9, "whole number from 1");
  expect_refused("num_key_value_heads", 4, "multiple of num_key_value_heads: 6 and 4");
  expect_refused("num_experts_per_tok", 33, "larger than num_experts: 33 > 32");
  expect_refused("head_dim", 31, "head_dim must be even");
  expect_refused("rms_norm_eps", -1, "number > 0");
  expect_refused("rope_theta", "x", "number > 0");
  expect_refused("mlp_only_layers", {6}, "whole numbers from 0 to 5");
  expect_refused("norm_topk_prob", 1, "true or false");
  expect_refused("eos_token_id", {-1}, "whole numbers from 0 to 2047");
}

TEST(ModelConfig, RefusesBadJson) {
  for (const char* text : {"", "{", "[]", "null"}) EXPECT_FALSE(parse_model_config(text)) << text;
  EXPECT_FALSE(parse_model_config(json::serialize(shipped()), "{"));
}

}  // namespace
}  // namespace flexpert::engine
