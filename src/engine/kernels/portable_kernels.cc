#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "engine/kernels/kernel_table.h"

namespace flexpert::engine {
namespace portable {
namespace {

constexpr float kRounder = 0x1.8p23F;

struct Lanes {
  float v[8];
};

#define FLEXPERT_KERNEL_INLINE inline

template <class Operation>
inline Lanes each(Operation operation) {
  Lanes out;
  for (int j = 0; j < 8; ++j) out.v[j] = operation(j);
  return out;
}

inline Lanes set1(float s) {
  return each([&](int) { return s; });
}
inline Lanes zero() { return set1(0.0F); }
inline Lanes load(const float* p) {
  return each([&](int j) { return p[j]; });
}
inline Lanes load_part(const float* p, std::size_t n) {
  return each([&](int j) { return static_cast<std::size_t>(j) < n ? p[j] : 0.0F; });
}
inline void store(float* p, const Lanes& a) { std::memcpy(p, a.v, sizeof a.v); }
inline void store_part(float* p, const Lanes& a, std::size_t n) { std::memcpy(p, a.v, n * sizeof(float)); }
inline Lanes add(const Lanes& a, const Lanes& b) {
  return each([&](int j) { return a.v[j] + b.v[j]; });
}
inline Lanes sub(const Lanes& a, const Lanes& b) {
  return each([&](int j) { return a.v[j] - b.v[j]; });
}
inline Lanes mul(const Lanes& a, const Lanes& b) {
  return each([&](int j) { return a.v[j] * b.v[j]; });
}
inline Lanes div(const Lanes& a, const Lanes& b) {
  return each([&](int j) { return a.v[j] / b.v[j]; });
}
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return each([&](int j) { return std::fma(a.v[j], b.v[j], c.v[j]); });
}
inline Lanes least(const Lanes& a, const Lanes& b) {
  return each([&](int j) { return a.v[j] < b.v[j] ? a.v[j] : b.v[j]; });
}
inline Lanes greatest(const Lanes& a, const Lanes& b) {
  return each([&](int j) { return a.v[j] > b.v[j] ? a.v[j] : b.v[j]; });
}
/// p * 2^k in two steps, so that results below the normal range round once. t = kRounder + k.
inline Lanes scale_by_power(const Lanes& p, const Lanes& t) {
  return each([&](int j) {
    const std::uint32_t k = std::bit_cast<std::uint32_t>(t.v[j]) - std::bit_cast<std::uint32_t>(kRounder);
    const auto half = static_cast<std::uint32_t>(static_cast<std::int32_t>(k) >> 1);
    const float first = std::bit_cast<float>((half + 127U) << 23);
    const float second = std::bit_cast<float>((k - half + 127U) << 23);
    return p.v[j] * first * second;
  });
}

#include "engine/kernels/lane_kernels.inl"

template <WeightType type>
inline void load_weights(const std::byte* at, float* weights) {
  if constexpr (type == WeightType::kF32) {
    std::memcpy(weights, at, kPanelOutputs * sizeof(float));
  } else {
    std::uint32_t pairs[8];
    std::memcpy(pairs, at, sizeof pairs);
    for (int j = 0; j < 8; ++j) {
      weights[j] = std::bit_cast<float>(pairs[j] << 16);
      weights[j + 8] = std::bit_cast<float>(pairs[j] & 0xffff0000U);
    }
  }
}

template <WeightType type>
void matmul_typed(const PackedMatrix& w, const float* x, std::size_t rows, std::size_t x_stride, float* y, std::size_t y_stride,
                  std::size_t panel_begin, std::size_t panel_end) {
  const std::size_t input_bytes = kPanelOutputs * size_of(type);
  for (std::size_t panel = panel_begin; panel < panel_end; ++panel) {
    const std::byte* base = w.data + panel * w.inputs * input_bytes;
    const std::size_t first = panel * kPanelOutputs;
    const std::size_t valid = w.outputs - first < kPanelOutputs ? w.outputs - first : kPanelOutputs;
    for (std::size_t r = 0; r < rows; ++r) {
      float sums[kPanelOutputs] = {};
      float weights[kPanelOutputs];
      for (std::size_t i = 0; i < w.inputs; ++i) {
        load_weights<type>(base + i * input_bytes, weights);
        for (std::size_t o = 0; o < kPanelOutputs; ++o) sums[o] = std::fma(x[r * x_stride + i], weights[o], sums[o]);
      }
      std::memcpy(y + r * y_stride + first, sums, valid * sizeof(float));
    }
  }
}

void matmul_panels(const PackedMatrix& w, const float* x, std::size_t rows, std::size_t x_stride, float* y, std::size_t y_stride,
                   std::size_t panel_begin, std::size_t panel_end) {
  const auto typed = w.type == WeightType::kF32 ? matmul_typed<WeightType::kF32> : matmul_typed<WeightType::kBF16>;
  typed(w, x, rows, x_stride, y, y_stride, panel_begin, panel_end);
}

#undef FLEXPERT_KERNEL_INLINE

}  // namespace
}  // namespace portable

const KernelTable& portable_kernels() {
  static constexpr KernelTable kTable{portable::matmul_panels, portable::exponentials, portable::silu_multiply,
                                      portable::softmax,       portable::rms_norm,     portable::rotate,
                                      portable::add_scaled,    portable::add_to,       portable::attend_head};
  return kTable;
}

}  // namespace flexpert::engine
