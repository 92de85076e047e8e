#include "placement/step_cost.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.h"

namespace flexpert::placement {
namespace {

/// The collector logs the tokens of all ranks together (num_tokens * ep_size), not those of one.
struct MeasuredRow {
  std::uint32_t ep_size;
  double tokens_of_all_devices;
  double ms;
};

constexpr MeasuredRow kDecode[] = {
#include "placement/step_cost_decode.inc"
};
constexpr MeasuredRow kPrefill[] = {
#include "placement/step_cost_prefill.inc"
};

std::vector<LayerLatency> per_device(std::span<const MeasuredRow> rows) {
  std::vector<LayerLatency> out;
  for (const MeasuredRow& row : rows) out.push_back({row.ep_size, row.tokens_of_all_devices / row.ep_size, row.ms});
  return out;
}

StepCost built_in(std::span<const LayerLatency> rows) {
  auto cost = StepCost::from(rows);
  FLEXPERT_CHECK(cost.has_value(), "the built-in table is well formed");
  return std::move(*cost);
}

/// Pool adjacent violators: the nearest curve, in squares, that never falls.
void make_rising(std::vector<double>& values) {
  struct Block {
    double mean;
    std::size_t size;
  };
  std::vector<Block> blocks;
  for (const double value : values) {
    blocks.push_back({value, 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean > blocks.back().mean) {
      const Block last = blocks.back();
      blocks.pop_back();
      Block& into = blocks.back();
      const auto both = static_cast<double>(into.size + last.size);
      into.mean = (into.mean * static_cast<double>(into.size) + last.mean * static_cast<double>(last.size)) / both;
      into.size += last.size;
    }
  }
  std::size_t i = 0;
  for (const Block& block : blocks)
    for (std::size_t n = 0; n < block.size; ++n) values[i++] = block.mean;
}

}  // namespace

Result<StepCost> StepCost::from(std::span<const LayerLatency> rows) {
  if (rows.empty()) return fail(ErrorCode::kInvalidArgument, "step cost: needs measured rows: none given");
  std::map<std::uint32_t, std::map<double, double>> by_ep;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const LayerLatency& row = rows[i];
    if (row.ep_size == 0) return fail(ErrorCode::kInvalidArgument, "step cost: row {}: ep_size must be over 0", i);
    if (!std::isfinite(row.tokens) || row.tokens <= 0)
      return fail(ErrorCode::kInvalidArgument, "step cost: row {}: tokens must be a number over 0: {}", i, row.tokens);
    if (!std::isfinite(row.ms) || row.ms <= 0)
      return fail(ErrorCode::kInvalidArgument, "step cost: row {}: ms must be a number over 0: {}", i, row.ms);
    if (!by_ep[row.ep_size].emplace(row.tokens, row.ms).second)
      return fail(ErrorCode::kInvalidArgument, "step cost: row {}: EP size {} has {} tokens twice: give one row per token count", i,
                  row.ep_size, row.tokens);
  }
  StepCost out;
  for (const auto& [ep_size, points] : by_ep) {
    if (points.size() < 2)
      return fail(ErrorCode::kInvalidArgument, "step cost: EP size {} needs at least two token counts: {} given", ep_size, points.size());
    Curve curve{.ep_size = ep_size, .tokens = {}, .ms = {}, .log_tokens = {}, .log_ms = {}};
    for (const auto& [tokens, ms] : points) curve.tokens.push_back(tokens), curve.ms.push_back(ms);
    make_rising(curve.ms);
    for (const double tokens : curve.tokens) curve.log_tokens.push_back(std::log(tokens));
    for (const double ms : curve.ms) curve.log_ms.push_back(std::log(ms));
    out.curves_.push_back(std::move(curve));
  }
  return out;
}

std::vector<LayerLatency> StepCost::deepseek_v3_decode_rows() { return per_device(kDecode); }
std::vector<LayerLatency> StepCost::deepseek_v3_prefill_rows() { return per_device(kPrefill); }

const StepCost& StepCost::deepseek_v3_decode() {
  static const StepCost cost = built_in(deepseek_v3_decode_rows());
  return cost;
}

const StepCost& StepCost::deepseek_v3_prefill() {
  static const StepCost cost = built_in(deepseek_v3_prefill_rows());
  return cost;
}

double StepCost::layer_ms(std::uint32_t ep_size, double tokens_per_device, double balancedness) const {
  if (!(tokens_per_device > 0)) return 0;
  const double size = std::log(std::max<std::uint32_t>(ep_size, 1));
  const Curve& curve = *std::min_element(curves_.begin(), curves_.end(), [size](const Curve& a, const Curve& b) {
    return std::abs(std::log(a.ep_size) - size) < std::abs(std::log(b.ep_size) - size);
  });
  const double at = std::log(tokens_per_device / balancedness);
  const auto above = std::upper_bound(curve.log_tokens.begin() + 1, curve.log_tokens.end() - 1, at);
  const auto right = static_cast<std::size_t>(above - curve.log_tokens.begin());
  const std::size_t left = right - 1;
  const double slope = (curve.log_ms[right] - curve.log_ms[left]) / (curve.log_tokens[right] - curve.log_tokens[left]);
  return std::exp(curve.log_ms[left] + slope * (at - curve.log_tokens[left]));
}

}  // namespace flexpert::placement
