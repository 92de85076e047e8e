#include "codec/number_array.h"

namespace flexpert::codec {

Result<std::size_t> element_count(const std::vector<std::uint64_t>& shape, std::string_view what) {
  if (shape.size() > kMaxArrayRank)
    return fail(ErrorCode::kInvalidArgument, "{}: an array of {} dimensions: at most {} are read", what, shape.size(), kMaxArrayRank);
  std::uint64_t elements = 1;
  bool empty = false;
  for (const std::uint64_t extent : shape) {
    if (extent == 0) empty = true;
    else if (__builtin_mul_overflow(elements, extent, &elements) || elements > kMaxArrayElements)
      return fail(ErrorCode::kResourceExhausted, "{}: too large: {} has more than {} numbers", what, shape_text(shape), kMaxArrayElements);
  }
  return empty ? 0 : elements;
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string out;
  for (const std::uint64_t extent : shape) out += fmt::format("[{}]", extent);
  return out.empty() ? "a single number" : out;
}

Result<std::vector<ExpertCounts>> count_steps(const NumberArray& array, std::string_view what) {
  const std::size_t rank = array.shape.size();
  if (rank != 2 && rank != 3)
    return fail(ErrorCode::kInvalidArgument, "{}: must be [layers][experts] or [steps][layers][experts], is {}", what,
                shape_text(array.shape));
  FLEXPERT_ASSIGN(const std::size_t elements, element_count(array.shape, what));
  if (elements == 0)
    return fail(ErrorCode::kInvalidArgument, "{}: has no counts: {}; it needs a step, a layer and an expert at least", what,
                shape_text(array.shape));
  ExpertGeometry geometry;
  geometry.layers = static_cast<std::uint32_t>(array.shape[rank - 2]);
  geometry.experts = static_cast<std::uint32_t>(array.shape[rank - 1]);
  for (std::size_t i = 0; i < elements; ++i) {
    if (array.values[i] >= 0 && array.values[i] <= kMostCount) continue;
    const ExpertSlot slot = geometry.slot(i % geometry.size());
    const std::string step = rank == 3 ? fmt::format("step {} ", i / geometry.size()) : "";
    return fail(ErrorCode::kInvalidArgument, "{}: {}layer {} expert {}: a count must be a finite number >= 0{}, is {}", what, step,
                slot.layer, slot.expert, array.values[i] > kMostCount ? fmt::format(" and <= {}", kMostCount) : "", array.values[i]);
  }
  constexpr std::size_t kMaxSteps = std::size_t{1} << 20;
  if (elements / geometry.size() > kMaxSteps)
    return fail(ErrorCode::kResourceExhausted, "{}: {} steps; at most {} are read; add some of them up", what, elements / geometry.size(),
                kMaxSteps);
  std::vector<ExpertCounts> steps;
  steps.reserve(elements / geometry.size());
  const auto step_size = static_cast<std::ptrdiff_t>(geometry.size());
  for (auto at = array.values.begin(); at != array.values.end(); at += step_size)
    steps.push_back({geometry, std::vector<double>(at, at + step_size), 0});
  return steps;
}

Result<ExpertCounts> sum_of(const std::vector<ExpertCounts>& steps) {
  if (steps.empty()) return fail(ErrorCode::kInvalidArgument, "expert counts: no step to add up");
  ExpertCounts sum = steps.front();
  bool tokens_known = sum.tokens > 0;
  for (std::size_t step = 1; step < steps.size(); ++step) {
    if (steps[step].geometry != sum.geometry)
      return fail(ErrorCode::kInvalidArgument, "expert counts: step {} has {} layers x {} experts, step 0 has {} x {}", step,
                  steps[step].geometry.layers, steps[step].geometry.experts, sum.geometry.layers, sum.geometry.experts);
    for (std::size_t i = 0; i < sum.count.size(); ++i) sum.count[i] += steps[step].count[i];
    tokens_known = tokens_known && steps[step].tokens > 0;
    sum.tokens += steps[step].tokens;
  }
  if (!tokens_known) sum.tokens = 0;
  FLEXPERT_TRY(validate(sum));
  return sum;
}

NumberArray array_of(const ExpertCounts& counts) { return {{counts.geometry.layers, counts.geometry.experts}, counts.count}; }

}  // namespace flexpert::codec
