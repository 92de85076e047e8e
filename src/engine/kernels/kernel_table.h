#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/packed_matrix.h"

/// Private to the kernels: one table of functions per instruction set. All tables give the same bits.
namespace flexpert::engine {

/// Keys and values of one head of a sequence inside a layer's block storage: position p of the sequence is at
/// base + (blocks[p / block_tokens] * block_tokens + p % block_tokens) * token_stride.
struct HeadCache {
  const float* keys = nullptr;
  const float* values = nullptr;
  const std::uint32_t* blocks = nullptr;
  std::size_t block_tokens = 0;
  std::size_t token_stride = 0;
};

struct KernelTable {
  /// Computes the outputs of panels [panel_begin, panel_end).
  void (*matmul_panels)(const PackedMatrix& w, const float* x, std::size_t rows, std::size_t x_stride, float* y,
                        std::size_t y_stride, std::size_t panel_begin, std::size_t panel_end);
  void (*exponentials)(const float* x, std::size_t count, float* y);
  void (*silu_multiply)(float* gate, const float* up, std::size_t count);
  void (*softmax)(float* x, std::size_t count);
  void (*rms_norm)(const float* x, const float* weight, float epsilon, std::size_t count, float* y);
  void (*rotate)(float* x, const float* cosines, const float* sines, std::size_t half);
  void (*add_scaled)(float scale, const float* x, std::size_t count, float* y);
  void (*add)(const float* x, std::size_t count, float* y);
  void (*attend_head)(const float* query, const HeadCache& cache, std::size_t length, std::size_t head_dim, float scale, float* out,
                      float* scores);
};

/// The table in use: AVX2 where the processor has it, unless the portable one is forced.
const KernelTable& active_kernels();

const KernelTable& portable_kernels();
/// Returns nullptr where the processor has no AVX2 and FMA.
const KernelTable* avx2_kernels();

}  // namespace flexpert::engine
