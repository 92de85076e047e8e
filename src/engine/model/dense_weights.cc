#include "engine/model/dense_weights.h"

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace flexpert::engine {
namespace {

void read_floats(const TensorView& view, std::size_t first, std::size_t count, float* out) {
  if (view.type == DType::kF32) {
    std::memcpy(out, view.bytes.data() + 4 * first, 4 * count);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, view.bytes.data() + 2 * (first + i), 2);
    out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
  }
}

}  // namespace

void DenseMatrix::Free::operator()(std::byte* data) const { std::free(data); }

Result<DenseMatrix> DenseMatrix::load(const Checkpoint& checkpoint, const std::string& name, std::uint32_t outputs, std::uint32_t inputs) {
  const std::array<std::uint64_t, 2> shape{outputs, inputs};
  FLEXPERT_ASSIGN(const TensorView tensor, checkpoint.tensor(name, shape));
  const WeightType type = tensor.type == DType::kF32 ? WeightType::kF32 : WeightType::kBF16;
  const std::size_t bytes = (packed_bytes(type, outputs, inputs) + 63) / 64 * 64;
  DenseMatrix matrix;
  matrix.data_.reset(static_cast<std::byte*>(std::aligned_alloc(64, bytes)));
  if (!matrix.data_) return fail(ErrorCode::kResourceExhausted, "no memory for the weights {}: {} bytes wanted", name, bytes);
  pack_matrix(type, tensor.bytes, outputs, inputs, matrix.data_.get());
  matrix.view_ = {matrix.data_.get(), type, outputs, inputs};
  return matrix;
}

Result<std::vector<float>> load_vector(const Checkpoint& checkpoint, const std::string& name, std::uint32_t count) {
  const std::array<std::uint64_t, 1> shape{count};
  FLEXPERT_ASSIGN(const TensorView tensor, checkpoint.tensor(name, shape));
  std::vector<float> values(count);
  read_floats(tensor, 0, count, values.data());
  return values;
}

Result<TokenEmbedding> TokenEmbedding::load(std::shared_ptr<const Checkpoint> checkpoint, const std::string& name, std::uint32_t tokens,
                                            std::uint32_t hidden) {
  const std::array<std::uint64_t, 2> shape{tokens, hidden};
  TokenEmbedding embedding;
  FLEXPERT_ASSIGN(embedding.view_, checkpoint->tensor(name, shape));
  embedding.checkpoint_ = std::move(checkpoint);
  embedding.hidden_ = hidden;
  return embedding;
}

void TokenEmbedding::read(std::uint32_t token, float* out) const {
  read_floats(view_, static_cast<std::size_t>(token) * hidden_, hidden_, out);
}

}  // namespace flexpert::engine
