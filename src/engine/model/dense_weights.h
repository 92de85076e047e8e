#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/kernels/packed_matrix.h"
#include "engine/weights/checkpoint.h"

namespace flexpert::engine {

/// A weight matrix of the dense part, packed for the kernels at load. Immutable.
class DenseMatrix {
 public:
  /// Reads tensor `name` of shape [outputs, inputs]. Errors: those of Checkpoint::tensor().
  static Result<DenseMatrix> load(const Checkpoint& checkpoint, const std::string& name, std::uint32_t outputs, std::uint32_t inputs);
  [[nodiscard]] const PackedMatrix& view() const { return view_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  PackedMatrix view_;
};

/// Reads a vector (norm weights) as f32.
Result<std::vector<float>> load_vector(const Checkpoint& checkpoint, const std::string& name, std::uint32_t count);

/// The rows of an embedding matrix, read where they lie in the mapped checkpoint. Immutable.
class TokenEmbedding {
 public:
  static Result<TokenEmbedding> load(std::shared_ptr<const Checkpoint> checkpoint, const std::string& name, std::uint32_t tokens,
                                     std::uint32_t hidden);
  /// Writes `hidden` floats; `token` is in range.
  void read(std::uint32_t token, float* out) const;

 private:
  std::shared_ptr<const Checkpoint> checkpoint_;  // keeps the mapping
  TensorView view_;
  std::uint32_t hidden_ = 0;
};

}  // namespace flexpert::engine
