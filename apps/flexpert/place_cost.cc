#include "flexpert/place_cost.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "flexpert/place_source.h"
#include "flexpert/place_values.h"

namespace flexpert::app {

namespace {

std::vector<std::string> cells_of(std::string line) {
  if (line.ends_with('\r')) line.pop_back();
  std::vector<std::string> cells{""};
  for (const char c : line) {
    if (c == ',')
      cells.emplace_back();
    else
      cells.back().push_back(c);
  }
  return cells;
}

constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);

std::size_t column_of(const std::vector<std::string>& header, const std::string& name) {
  const auto found = std::find(header.begin(), header.end(), name);
  return found == header.end() ? kNoColumn : static_cast<std::size_t>(found - header.begin());
}

}  // namespace

Result<placement::StepCost> parse_step_cost(const std::string& text, const std::string& name) {
  std::stringstream lines(text);
  std::string line;
  std::getline(lines, line);
  const std::vector<std::string> header = cells_of(line);
  const bool plain = column_of(header, "tokens_per_device") != kNoColumn;
  const std::size_t ep = column_of(header, plain ? "ep_size" : "moe_ep_size");
  const std::size_t tokens = column_of(header, plain ? "tokens_per_device" : "num_tokens");
  const std::size_t ms = column_of(header, plain ? "ms" : "latency");
  const std::size_t distribution = column_of(header, "distribution");
  if (ep == kNoColumn || tokens == kNoColumn || ms == kNoColumn || (!plain && distribution == kNoColumn))
    return fail(
        ErrorCode::kInvalidArgument,
        "cost table needs the columns ep_size,tokens_per_device,ms, or AIConfigurator's moe_ep_size,num_tokens,distribution,latency: {}",
        name);
  std::vector<placement::LayerLatency> rows;
  for (std::size_t number = 2; std::getline(lines, line); ++number) {
    if (line.empty() || line == "\r") continue;
    const std::vector<std::string> cells = cells_of(line);
    if (cells.size() != header.size())
      return fail(ErrorCode::kInvalidArgument, "cost table has {} cells where its header has {}: {}:{}", cells.size(), header.size(), name,
                  number);
    if (!plain && cells[distribution] != "uniform") continue;
    placement::LayerLatency row;
    double ep_size = 0;
    for (const auto& [column, least, most, whole, target] :
         {std::tuple{ep, 1.0, 1e6, true, &ep_size}, std::tuple{tokens, 1e-6, 1e12, false, &row.tokens},
          std::tuple{ms, 1e-9, 1e9, false, &row.ms}})
      if (const std::string wrong = parse_number(cells[column], least, most, whole, *target); !wrong.empty())
        return fail(ErrorCode::kInvalidArgument, "cost table's {} {}: {}:{}", header[column], wrong, name, number);
    row.ep_size = static_cast<std::uint32_t>(ep_size);
    if (!plain) row.tokens /= ep_size;
    rows.push_back(row);
  }
  auto cost = placement::StepCost::from(rows);
  if (!cost) return fail(cost.error().with_context(name));
  return cost;
}

Result<std::optional<placement::StepCost>> read_step_cost(const std::string& name) {
  if (name == "none") return std::optional<placement::StepCost>();
  if (name == "deepseek-v3-decode") return std::optional(placement::StepCost::deepseek_v3_decode());
  if (name == "deepseek-v3-prefill") return std::optional(placement::StepCost::deepseek_v3_prefill());
  auto input = read_place_bytes(name);
  if (!input)
    return fail(input.error().code, "--cost takes deepseek-v3-decode, deepseek-v3-prefill, none or a CSV file: {}", input.error().message);
  FLEXPERT_ASSIGN(placement::StepCost cost, parse_step_cost(input->bytes, input->name));
  return std::optional(std::move(cost));
}

}  // namespace flexpert::app
