#include "scaling/vertical_resize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

namespace flexpert::scaling {
namespace {

std::optional<double> metric(const PoolInstance& instance, const char* name, double max_age_s) {
  const auto found = instance.metrics.find(name);
  if (found == instance.metrics.end()) return std::nullopt;
  const auto& [value, age_s] = found->second;
  if (!std::isfinite(value) || value < 0 || !(age_s >= 0) || age_s > max_age_s) return std::nullopt;
  return value;
}

struct Bounds {
  std::uint32_t min = 0;
  std::uint32_t max = 0;
};

/// Returns the new size, if it changes, and says why. `is_whole_use`: the use counts units of the size, as cores do threads;
/// else it is a share.
std::optional<std::uint32_t> resized(const PoolInstance& instance, const VerticalOptions& options, double max_age_s, const char* use_name,
                                     const char* size_name, bool is_whole_use, Bounds bounds, std::vector<Reason>& reasons) {
  if (bounds.min == 0 || bounds.max < bounds.min) return std::nullopt;
  const auto size = metric(instance, size_name, max_age_s);
  if (!size || *size < 1 || *size > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  auto use = metric(instance, use_name, max_age_s);
  if (use && is_whole_use) *use /= *size;
  double to = *size;
  std::string_view code = "resize_bounds";
  if (use && *use > options.high) {
    to = std::ceil(*size * 1.5);
    code = "resize_up";
  } else if (use && *use < options.low) {
    to = std::floor(*size * 2 / 3);
    code = "resize_down";
  }
  to = std::clamp(to, static_cast<double>(bounds.min), static_cast<double>(bounds.max));
  if (to == std::floor(*size)) return std::nullopt;
  reasons.push_back({std::string(code),
                     fmt::format("{} {:.0f} to {:.0f}: {} use is {:.2f}, the bounds are {} to {}", size_name, *size, to, use_name,
                                 use.value_or(0), bounds.min, bounds.max),
                     {{"use", use.value_or(0)}, {"from", *size}, {"to", to}, {"high", options.high}, {"low", options.low}}});
  return static_cast<std::uint32_t>(to);
}

}  // namespace

std::optional<PoolAction> propose_resize(const PoolInstance& instance, const VerticalOptions& options, double max_age_s) {
  PoolAction action;
  action.kind = PoolActionKind::kResize;
  action.instance = instance.id;
  action.threads = resized(instance, options, max_age_s, "cpu", "threads", true, {options.threads_min, options.threads_max}, action.reasons);
  action.kv_blocks =
      resized(instance, options, max_age_s, "kv", "kv_blocks", false, {options.kv_blocks_min, options.kv_blocks_max}, action.reasons);
  if (!action.threads && !action.kv_blocks) return std::nullopt;
  return action;
}

}  // namespace flexpert::scaling
