#include <cmath>
#include <cstdint>
#include <cstring>

#include "engine/kernels/kernel_table.h"

#if defined(__x86_64__)

#include <immintrin.h>

// Only the functions below may use AVX2 and FMA: what the headers above define stays usable on any processor.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define FLEXPERT_KERNEL_INLINE __attribute__((always_inline)) inline

namespace flexpert::engine {
namespace avx2 {
namespace {

constexpr float kRounder = 0x1.8p23F;

using Lanes = __m256;

FLEXPERT_KERNEL_INLINE Lanes set1(float s) { return _mm256_set1_ps(s); }
FLEXPERT_KERNEL_INLINE Lanes zero() { return _mm256_setzero_ps(); }
FLEXPERT_KERNEL_INLINE Lanes load(const float* p) { return _mm256_loadu_ps(p); }
FLEXPERT_KERNEL_INLINE void store(float* p, Lanes a) { _mm256_storeu_ps(p, a); }
FLEXPERT_KERNEL_INLINE __m256i first_lanes(std::size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FLEXPERT_KERNEL_INLINE Lanes load_part(const float* p, std::size_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
FLEXPERT_KERNEL_INLINE void store_part(float* p, Lanes a, std::size_t n) { _mm256_maskstore_ps(p, first_lanes(n), a); }
FLEXPERT_KERNEL_INLINE Lanes add(Lanes a, Lanes b) { return _mm256_add_ps(a, b); }
FLEXPERT_KERNEL_INLINE Lanes sub(Lanes a, Lanes b) { return _mm256_sub_ps(a, b); }
FLEXPERT_KERNEL_INLINE Lanes mul(Lanes a, Lanes b) { return _mm256_mul_ps(a, b); }
FLEXPERT_KERNEL_INLINE Lanes div(Lanes a, Lanes b) { return _mm256_div_ps(a, b); }
FLEXPERT_KERNEL_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
FLEXPERT_KERNEL_INLINE Lanes least(Lanes a, Lanes b) { return _mm256_min_ps(a, b); }
FLEXPERT_KERNEL_INLINE Lanes greatest(Lanes a, Lanes b) { return _mm256_max_ps(a, b); }
FLEXPERT_KERNEL_INLINE Lanes scale_by_power(Lanes p, Lanes t) {
  const __m256i k = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_castps_si256(set1(kRounder)));
  const __m256i half = _mm256_srai_epi32(k, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const Lanes first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const Lanes second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(k, half), bias), 23));
  return mul(mul(p, first), second);
}

#include "engine/kernels/lane_kernels.inl"

template <WeightType type>
FLEXPERT_KERNEL_INLINE void load_weights(const std::byte* at, Lanes& low, Lanes& high) {
  if constexpr (type == WeightType::kF32) {
    low = _mm256_loadu_ps(reinterpret_cast<const float*>(at));
    high = _mm256_loadu_ps(reinterpret_cast<const float*>(at) + 8);
  } else {
    const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    low = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
    high = _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000U))));
  }
}

/// How far ahead of its use a weight is asked for, in bytes of one panel.
constexpr std::size_t kPrefetchBytes = 1024;

/// A register tile of R rows x P panels: 2 * R * P accumulators, at least 8 where there is work for them, since a
/// multiply-add takes four cycles and two start in each.
template <WeightType type, int R, int P>
void tile(const std::byte* panels, std::size_t inputs, const float* x, std::size_t x_stride, float* y, std::size_t y_stride,
          std::size_t valid) {
  constexpr std::size_t kInputBytes = kPanelOutputs * size_of(type);
  const std::size_t panel_stride = inputs * kInputBytes;
  Lanes sums[R][P][2];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) sums[r][p][0] = sums[r][p][1] = zero();
  }
  for (std::size_t i = 0; i < inputs; ++i) {
    const std::byte* at = panels + i * kInputBytes;
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      Lanes low;
      Lanes high;
      load_weights<type>(at + p * panel_stride, low, high);
      if constexpr (R == 1) _mm_prefetch(reinterpret_cast<const char*>(at + p * panel_stride + kPrefetchBytes), _MM_HINT_T0);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Lanes value = _mm256_broadcast_ss(x + r * x_stride + i);
        sums[r][p][0] = fma(value, low, sums[r][p][0]);
        sums[r][p][1] = fma(value, high, sums[r][p][1]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      float* to = y + r * y_stride + p * kPanelOutputs;
      const std::size_t left = valid - p * kPanelOutputs;
      if (left >= kPanelOutputs) {
        store(to, sums[r][p][0]);
        store(to + 8, sums[r][p][1]);
      } else {
        store_part(to, sums[r][p][0], left < 8 ? left : 8);
        if (left > 8) store_part(to + 8, sums[r][p][1], left - 8);
      }
    }
  }
}

/// One tile of R rows over up to four panels.
template <WeightType type, int R>
void row_tile(const std::byte* panels, std::size_t panel_count, std::size_t inputs, const float* x, std::size_t x_stride, float* y,
              std::size_t y_stride, std::size_t valid) {
  constexpr int kWide = R == 1 ? 4 : (R <= 3 ? 2 : 1);
  const std::size_t panel_stride = inputs * kPanelOutputs * size_of(type);
  std::size_t p = 0;
  for (; p + kWide <= panel_count; p += kWide)
    tile<type, R, kWide>(panels + p * panel_stride, inputs, x, x_stride, y + p * kPanelOutputs, y_stride, valid - p * kPanelOutputs);
  for (; p < panel_count; ++p)
    tile<type, R, 1>(panels + p * panel_stride, inputs, x, x_stride, y + p * kPanelOutputs, y_stride, valid - p * kPanelOutputs);
}

template <WeightType type>
void matmul_typed(const PackedMatrix& w, const float* x, std::size_t rows, std::size_t x_stride, float* y, std::size_t y_stride,
                  std::size_t panel_begin, std::size_t panel_end) {
  constexpr std::size_t kGroup = 4;  // panels that stay in the second-level cache while all rows pass
  for (std::size_t panel = panel_begin; panel < panel_end; panel += kGroup) {
    const std::size_t count = panel_end - panel < kGroup ? panel_end - panel : kGroup;
    const std::byte* panels = w.data + panel * w.inputs * kPanelOutputs * size_of(type);
    const std::size_t first = panel * kPanelOutputs;
    for (std::size_t r = 0; r < rows;) {
      const float* from = x + r * x_stride;
      float* to = y + r * y_stride + first;
      const std::size_t valid = w.outputs - first;
      const std::size_t left = rows - r;
      // Seven and eight rows go as four and the rest: tiles of one and two use the multipliers badly.
      const std::size_t take = left == 7 || left == 8 ? 4 : (left < 6 ? left : 6);
      switch (take) {
        case 6: row_tile<type, 6>(panels, count, w.inputs, from, x_stride, to, y_stride, valid); break;
        case 5: row_tile<type, 5>(panels, count, w.inputs, from, x_stride, to, y_stride, valid); break;
        case 4: row_tile<type, 4>(panels, count, w.inputs, from, x_stride, to, y_stride, valid); break;
        case 3: row_tile<type, 3>(panels, count, w.inputs, from, x_stride, to, y_stride, valid); break;
        case 2: row_tile<type, 2>(panels, count, w.inputs, from, x_stride, to, y_stride, valid); break;
        default: row_tile<type, 1>(panels, count, w.inputs, from, x_stride, to, y_stride, valid); break;
      }
      r += take;
    }
  }
}

void matmul_panels(const PackedMatrix& w, const float* x, std::size_t rows, std::size_t x_stride, float* y, std::size_t y_stride,
                   std::size_t panel_begin, std::size_t panel_end) {
  if (w.type == WeightType::kF32) {
    matmul_typed<WeightType::kF32>(w, x, rows, x_stride, y, y_stride, panel_begin, panel_end);
  } else {
    matmul_typed<WeightType::kBF16>(w, x, rows, x_stride, y, y_stride, panel_begin, panel_end);
  }
}

}  // namespace
}  // namespace avx2
}  // namespace flexpert::engine

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace flexpert::engine {

const KernelTable* avx2_kernels() {
  static constexpr KernelTable kTable{avx2::matmul_panels, avx2::exponentials, avx2::silu_multiply, avx2::softmax,    avx2::rms_norm,
                                      avx2::rotate,        avx2::add_scaled,   avx2::add_to,        avx2::attend_head};
  static const bool kSupported = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return kSupported ? &kTable : nullptr;
}

}  // namespace flexpert::engine

#else

namespace flexpert::engine {

const KernelTable* avx2_kernels() { return nullptr; }

}  // namespace flexpert::engine

#endif
