#include "engine/weights/model_config.h"

#include <algorithm>

#include <boost/json.hpp>

#include "engine/weights/config_fields.h"
#include "engine/weights/families/family.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;

Result<json::value> parse_object(std::string_view text, const char* file) {
  json::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return fail(ErrorCode::kInvalidArgument, "{} is not valid JSON: {}", file, error.message());
  if (!value.is_object()) return fail(ErrorCode::kInvalidArgument, "{} is not a JSON object", file);
  return value;
}

std::string supported() {
  std::string names;
  for (const Family* family : families()) names += fmt::format("{}{}", names.empty() ? "" : ", ", family->architecture);
  return names;
}

Result<ModelConfig> read(const ConfigFields& fields) {
  FLEXPERT_ASSIGN(const auto architectures, fields.texts("architectures"));
  if (architectures.empty()) return fail(ErrorCode::kInvalidArgument, "required field is missing: architectures (supported: {})", supported());
  const Family* family = find_family(architectures.front());
  if (family == nullptr)
    return fail(ErrorCode::kInvalidArgument, "unsupported architecture: {} (supported: {})", architectures.front(), supported());
  FLEXPERT_ASSIGN(const std::string model_type, fields.text_or("model_type", family->model_type));
  if (model_type != family->model_type)
    return fail(ErrorCode::kInvalidArgument, "model_type does not belong to the architecture {}: {} (must be {})", family->architecture,
                model_type, family->model_type);
  FLEXPERT_ASSIGN(ModelConfig config, family->parse(fields));
  config.architecture = family->architecture;
  config.model_type = family->model_type;
  return config;
}

Result<std::vector<std::int32_t>> eos_tokens(const ConfigFields& fields, std::uint32_t vocab_size) {
  FLEXPERT_ASSIGN(const auto ids, fields.integers("eos_token_id", vocab_size - 1));
  return std::vector<std::int32_t>(ids.begin(), ids.end());
}

}  // namespace

bool ModelConfig::is_moe_layer(std::uint32_t layer) const {
  if (std::find(mlp_only_layers.begin(), mlp_only_layers.end(), layer) != mlp_only_layers.end()) return false;
  return num_experts > 0 && (layer + 1) % decoder_sparse_step == 0;
}

Result<ModelConfig> parse_model_config(std::string_view config_json, std::optional<std::string_view> generation_config_json) {
  FLEXPERT_ASSIGN(const json::value root, parse_object(config_json, "config.json"));
  const ConfigFields fields(root.get_object());
  auto config = read(fields);
  if (!config) return fail(config.error().with_context("config.json"));
  auto eos = eos_tokens(fields, config->vocab_size);
  if (!eos) return fail(eos.error().with_context("config.json"));
  config->eos_token_ids = std::move(*eos);
  if (!generation_config_json) return config;

  FLEXPERT_ASSIGN(const json::value generation, parse_object(*generation_config_json, "generation_config.json"));
  const ConfigFields generation_fields(generation.get_object());
  if (!generation_fields.has("eos_token_id")) return config;
  auto generation_eos = eos_tokens(generation_fields, config->vocab_size);
  if (!generation_eos) return fail(generation_eos.error().with_context("generation_config.json"));
  config->eos_token_ids = std::move(*generation_eos);
  return config;
}

}  // namespace flexpert::engine
