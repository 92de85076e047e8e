#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/weights/config_fields.h"
#include "engine/weights/model_config.h"

namespace flexpert::engine {

/// A tensor that a checkpoint of a family must have.
struct ExpectedTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
};

/// A model family: what its config.json means and which tensors its checkpoints hold. The next family is one file
/// beside qwen3_moe.cc and one line in the table of family.cc.
struct Family {
  const char* architecture;  ///< as in config.json "architectures"
  const char* model_type;
  /// Fills everything of ModelConfig but architecture, model_type and eos_token_ids.
  Result<ModelConfig> (*parse)(const ConfigFields& fields);
  /// Lists every tensor of a checkpoint of this configuration.
  std::vector<ExpectedTensor> (*tensors)(const ModelConfig& config);
};

/// All families that this build can load.
std::span<const Family* const> families();
/// Finds a family by its architecture, or null.
const Family* find_family(std::string_view architecture);

extern const Family kQwen3Moe;

}  // namespace flexpert::engine
