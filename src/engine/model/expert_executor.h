#pragma once

#include <cstdint>
#include <span>

#include "engine/model/expert_mask.h"

namespace flexpert::engine {

/// The rows that one expert of a layer has to compute.
struct ExpertGroup {
  std::uint32_t expert = 0;
  std::span<const std::uint32_t> rows;  ///< indices into the layer's rows, ascending
  float* out = nullptr;                 ///< rows.size() x hidden: one unweighted output row per assignment, in the order of `rows`
};

/// One MoE layer of one step.
struct ExpertBatch {
  std::uint32_t layer = 0;
  std::uint64_t step = 0;
  std::span<const float> rows;  ///< row_count x hidden, contiguous, already normalised
  std::uint32_t row_count = 0;
  std::uint32_t hidden = 0;
  std::span<const ExpertGroup> groups;  ///< by ascending expert, no expert twice
  RowMasks masks = {};          ///< of the rows; groups hold no row whose mask forbids their expert
};

/// The port through which a model has its experts computed: in this process, or by expert servers. Called by the engine
/// thread only. Outputs are the same bits whoever computes them.
class ExpertExecutor {
 public:
  virtual ~ExpertExecutor() = default;
  /// Called between two steps; a changed routing table takes effect here.
  virtual void begin_step(std::uint64_t step) = 0;
  /// Fills every group's `out`. Cannot fail: an executor that loses its servers computes itself. Where it computes or sends
  /// rows it checks `masks` once more (count_restricted).
  virtual void compute(const ExpertBatch& batch) = 0;
};

}  // namespace flexpert::engine
