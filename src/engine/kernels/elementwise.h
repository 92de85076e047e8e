#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/// The arithmetic between the matrix products: f32, with our own exp, the same bits for every instruction set and
/// independent of what other rows there are. Pointers need no alignment. Reentrant.
namespace flexpert::engine {

/// y[i] = exp(x[i]), within 2 ulp; 0 and infinity beyond the range.
void exponentials(const float* x, std::size_t count, float* y);
/// x = exp(x - max x) / sum. `count` > 0.
void softmax(float* x, std::size_t count);
/// y = x / sqrt(mean(x^2) + epsilon) * weight; y may be x.
void rms_norm(const float* x, const float* weight, float epsilon, std::size_t count, float* y);
/// gate = gate / (1 + exp(-gate)) * up.
void silu_multiply(float* gate, const float* up, std::size_t count);
/// y += scale * x, fused.
void add_scaled(float scale, const float* x, std::size_t count, float* y);
/// y += x.
void add_to(const float* x, std::size_t count, float* y);

/// Sines and cosines of the rotary embedding (GPT-NeoX form: pairs i and i + head_dim / 2), computed in double.
class RotaryTable {
 public:
  RotaryTable(std::uint32_t head_dim, double theta, std::uint32_t positions);
  /// Rotates one head of head_dim floats; `position` < positions.
  void rotate(float* head, std::uint32_t position) const;

 private:
  std::size_t half_;
  std::vector<float> cosines_;  // positions x half
  std::vector<float> sines_;
};

}  // namespace flexpert::engine
