#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace flexpert::placement {

/// A measured MoE layer latency under even routing.
struct LayerLatency {
  std::uint32_t ep_size = 0;
  double tokens = 0;  ///< per device and step
  double ms = 0;
};

/// What imbalance costs: a layer takes as long as its busiest device, and a device with `x` times the mean load takes as
/// long as an even layer of `x` times the tokens. At small batches the curve is flat: imbalance is free there.
class StepCost {
 public:
  /// Rows may come in any order. Where more tokens were measured faster than fewer, which is noise, both are given their
  /// mean (isotonic regression), so that imbalance never seems to pay.
  /// Errors: no rows, numbers that are not positive and finite, fewer than two token counts for an EP size, a token count twice.
  static Result<StepCost> from(std::span<const LayerLatency> rows);
  /// DeepSeek-V3-shaped layers on H200 (AIConfigurator, SGLang 0.5.10 wide EP), decode and prefill.
  static const StepCost& deepseek_v3_decode();
  static const StepCost& deepseek_v3_prefill();
  /// Returns the measurements behind the built-in tables.
  static std::vector<LayerLatency> deepseek_v3_decode_rows();
  static std::vector<LayerLatency> deepseek_v3_prefill_rows();

  /// Returns the milliseconds of a layer whose busiest device has 1/`balancedness` times the mean load. Interpolates the
  /// logarithm of ms in log tokens, takes the nearest measured EP size (by ratio); outside the range the last slope goes
  /// on. 0 without tokens. Precondition: balancedness > 0.
  [[nodiscard]] double layer_ms(std::uint32_t ep_size, double tokens_per_device, double balancedness) const;

 private:
  struct Curve {
    std::uint32_t ep_size = 0;
    std::vector<double> tokens;
    std::vector<double> ms;
    std::vector<double> log_tokens;
    std::vector<double> log_ms;
  };
  std::vector<Curve> curves_;
};

}  // namespace flexpert::placement
