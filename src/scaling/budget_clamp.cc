#include "scaling/budget_clamp.h"

#include <algorithm>
#include <array>

namespace flexpert::scaling {
namespace {

std::int64_t divide_up(std::int64_t value, std::int64_t by) { return value <= 0 ? 0 : (value + by - 1) / by; }

/// Returns part * of / whole rounded down, without overflow.
std::int64_t scaled_down(std::int64_t part, std::int64_t of, std::int64_t whole) {
  __extension__ using Wide = __int128;
  return static_cast<std::int64_t>(static_cast<Wide>(part) * of / whole);
}

std::int64_t scaled_up(std::int64_t part, std::int64_t of, std::int64_t whole) {
  __extension__ using Wide = __int128;
  return static_cast<std::int64_t>((static_cast<Wide>(part) * of + whole - 1) / whole);
}

bool unbounded(GpuBand band) { return band.min < 0 && band.max < 0; }

}  // namespace

std::int64_t band_tolerance(std::span<const std::int64_t> gpus_per_instance) {
  std::int64_t most = 0;
  for (const std::int64_t gpus : gpus_per_instance) most = std::max(most, gpus);
  return most;
}

bool within_band(std::int64_t total, GpuBand band, std::int64_t tolerance) {
  if (band.max >= 0 && total > band.max) return false;
  return band.min < 0 || total >= band.min - tolerance;
}

std::pair<std::int64_t, std::int64_t> clamp_pair(ClampSide prefill, ClampSide decode, GpuBand band) {
  const std::pair unchanged{prefill.instances, decode.instances};
  if (unbounded(band) || prefill.gpus_per_instance <= 0 || decode.gpus_per_instance <= 0) return unchanged;
  const std::int64_t total = prefill.instances * prefill.gpus_per_instance + decode.instances * decode.gpus_per_instance;
  const std::array sizes{prefill.gpus_per_instance, decode.gpus_per_instance};
  const std::int64_t tolerance = band.min >= 0 && band.max >= 0 ? band_tolerance(sizes) : 0;
  if (within_band(total, band, tolerance)) return unchanged;

  if (band.max >= 0 && total > band.max) {
    const std::int64_t room = band.max - decode.min * decode.gpus_per_instance;
    if (room < prefill.min * prefill.gpus_per_instance) return {0, 0};
    const std::int64_t most = room / prefill.gpus_per_instance;
    const std::int64_t p = std::max(prefill.min, std::min(most, scaled_down(prefill.instances, band.max, total)));
    return {p, std::max(decode.min, (band.max - p * prefill.gpus_per_instance) / decode.gpus_per_instance)};
  }

  const std::int64_t share =
      total <= 0 ? divide_up(band.min, 2 * prefill.gpus_per_instance) : scaled_up(prefill.instances, band.min, total);
  const std::int64_t p = std::max(prefill.min, share);
  const std::int64_t d = std::max(decode.min, divide_up(band.min - p * prefill.gpus_per_instance, decode.gpus_per_instance));
  const std::int64_t grown = p * prefill.gpus_per_instance + d * decode.gpus_per_instance;
  if (band.max >= 0 && grown > band.max) return unchanged;
  return {p, d};
}

std::int64_t clamp_single(ClampSide pool, GpuBand band) {
  if (unbounded(band) || pool.gpus_per_instance <= 0) return pool.instances;
  const std::int64_t total = pool.instances * pool.gpus_per_instance;
  const std::int64_t tolerance = band.min >= 0 && band.max >= 0 ? pool.gpus_per_instance : 0;
  if (within_band(total, band, tolerance)) return pool.instances;
  if (band.max >= 0 && total > band.max) {
    const std::int64_t most = band.max / pool.gpus_per_instance;
    return most < pool.min ? 0 : most;
  }
  const std::int64_t grown = std::max(pool.min, divide_up(band.min, pool.gpus_per_instance));
  return band.max >= 0 && grown * pool.gpus_per_instance > band.max ? pool.instances : grown;
}

}  // namespace flexpert::scaling
