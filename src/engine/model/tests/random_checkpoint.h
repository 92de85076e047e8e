#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::engine {

/// A checkpoint in memory whose tensors are random f32 numbers, made when first asked for by name and shape.
class RandomCheckpoint final : public Checkpoint {
 public:
  explicit RandomCheckpoint(ModelConfig config) : config_(std::move(config)) {}

  [[nodiscard]] const ModelConfig& config() const override { return config_; }
  [[nodiscard]] const std::string& folder() const override { return name_; }
  [[nodiscard]] const std::string& fingerprint() const override { return name_; }

  [[nodiscard]] Result<TensorView> tensor(std::string_view name, std::span<const std::uint64_t> shape) const override {
    if (name == missing_) return fail(ErrorCode::kInvalidArgument, "no such tensor: {}", name);
    std::size_t count = 1;
    for (const std::uint64_t n : shape) count *= n;
    const std::vector<float>& values = floats(std::string(name), count);
    return TensorView{DType::kF32, {shape.begin(), shape.end()}, std::as_bytes(std::span(values))};
  }

  /// The same tensor for a reference computation.
  const std::vector<float>& floats(const std::string& name, std::size_t count) const {
    auto [at, made] = tensors_.try_emplace(name);
    if (made) {
      Rng rng(std::hash<std::string>{}(name));
      for (std::size_t i = 0; i < count; ++i) at->second.push_back(static_cast<float>(rng.uniform() - 0.5));
    }
    return at->second;
  }

  void lose(std::string name) { missing_ = std::move(name); }

 private:
  ModelConfig config_;
  std::string name_ = "random";
  std::string missing_;
  mutable std::map<std::string, std::vector<float>> tensors_;
};

}  // namespace flexpert::engine
