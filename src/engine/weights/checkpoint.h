#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/weights/model_config.h"

namespace flexpert::engine {

enum class DType : std::uint32_t { kF32 = 0, kBF16 = 1 };

/// Bytes of one element.
constexpr std::size_t size_of(DType type) { return type == DType::kF32 ? 4 : 2; }

/// A tensor inside a mapped file: row-major, little-endian, not necessarily aligned. Valid as long as its Checkpoint.
struct TensorView {
  DType type = DType::kF32;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;
};

/// A Hugging Face checkpoint folder: config.json, generation_config.json if there, and model.safetensors or its shards
/// with model.safetensors.index.json, all mmapped. Immutable after open(), safe from any thread.
class Checkpoint {
 public:
  /// Opens and checks everything that can be checked without reading the weights. Errors name the file and the tensor.
  static Result<std::shared_ptr<const Checkpoint>> open(const std::string& folder);
  virtual ~Checkpoint() = default;

  [[nodiscard]] virtual const ModelConfig& config() const = 0;
  [[nodiscard]] virtual const std::string& folder() const = 0;
  /// Finds a tensor and checks that it has exactly this shape.
  [[nodiscard]] virtual Result<TensorView> tensor(std::string_view name, std::span<const std::uint64_t> shape) const = 0;
  /// Identifies the weights: 16 hex digits over config.json, every safetensors header with its file's size, and 64 samples
  /// of 64 bytes of each file's weights (cheap, and two trainings of one architecture differ). A pack file and expert servers carry it, so that models are never mixed.
  [[nodiscard]] virtual const std::string& fingerprint() const = 0;
};

}  // namespace flexpert::engine
