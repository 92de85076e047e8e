#include "engine/kernels/elementwise.h"

#include <cmath>

#include "engine/kernels/kernel_table.h"

namespace flexpert::engine {

void exponentials(const float* x, std::size_t count, float* y) { active_kernels().exponentials(x, count, y); }
void softmax(float* x, std::size_t count) { active_kernels().softmax(x, count); }
void rms_norm(const float* x, const float* weight, float epsilon, std::size_t count, float* y) {
  active_kernels().rms_norm(x, weight, epsilon, count, y);
}
void silu_multiply(float* gate, const float* up, std::size_t count) { active_kernels().silu_multiply(gate, up, count); }
void add_scaled(float scale, const float* x, std::size_t count, float* y) { active_kernels().add_scaled(scale, x, count, y); }
void add_to(const float* x, std::size_t count, float* y) { active_kernels().add(x, count, y); }

RotaryTable::RotaryTable(std::uint32_t head_dim, double theta, std::uint32_t positions) : half_(head_dim / 2) {
  cosines_.resize(half_ * positions);
  sines_.resize(half_ * positions);
  for (std::size_t i = 0; i < half_; ++i) {
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / head_dim);
    for (std::size_t p = 0; p < positions; ++p) {
      const double angle = static_cast<double>(p) * frequency;
      cosines_[p * half_ + i] = static_cast<float>(std::cos(angle));
      sines_[p * half_ + i] = static_cast<float>(std::sin(angle));
    }
  }
}

void RotaryTable::rotate(float* head, std::uint32_t position) const {
  active_kernels().rotate(head, cosines_.data() + position * half_, sines_.data() + position * half_, half_);
}

}  // namespace flexpert::engine
