#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "engine/kernels/compute_pool.h"
#include "engine/kernels/packed_matrix.h"

/// The arithmetic of the engine. Every output is summed in one fixed order that depends only on the shapes (and, for
/// attention, on the position): never on the number of rows, the chunk, the thread, or the instruction set. The AVX2
/// and the portable forms give the same bits.
namespace flexpert::engine {

/// Names the order of summation and the polynomial of exp. Processes with different identities may not share work.
/// Changed whenever a bit of any result may change.
const std::string& kernel_identity();

/// Selects the portable kernels instead of AVX2, for tests. Not thread-safe against running kernels.
void force_portable_kernels(bool portable);

/// y[r, o] = sum over i ascending of fma(x[r, i], w[o, i]). `x` is rows x inputs with `x_stride` floats between rows,
/// `y` likewise. Split over `pool` by outputs.
void matmul(const PackedMatrix& w, const float* x, std::size_t rows, std::size_t x_stride, float* y, std::size_t y_stride,
            ComputePool& pool);

/// Computes one expert for `rows` rows of `hidden` floats each (contiguous), into `out` (contiguous, unweighted).
/// `scratch` holds at least expert_scratch_floats(w, rows). Single-threaded: callers run several experts side by side,
/// or split a group by rows.
void expert_mlp(const ExpertWeights& w, const float* x, std::size_t rows, float* out, float* scratch);
std::size_t expert_scratch_floats(const ExpertWeights& w, std::size_t rows);

}  // namespace flexpert::engine
