#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/expert_mask.h"
#include "engine/tokenizer/tokenizer.h"

namespace flexpert::engine {

/// Consecutive tokens of one sequence that a step computes.
struct SequenceRows {
  std::span<const TokenId> tokens;         ///< not empty
  std::uint32_t first_position = 0;
  std::span<const std::uint32_t> blocks;   ///< the sequence's KV blocks, enough for all its positions
  bool logits_wanted = false;              ///< of the last token
  const ExpertMask* mask = nullptr;        ///< the experts that it may use; null: all. Must outlive the step
};

/// The rows of a step in the form that the layers use: row r is position `position[r]` of a sequence in `blocks[r]`.
struct StepRows {
  std::uint64_t step = 0;
  std::vector<std::uint32_t> position;
  std::vector<std::span<const std::uint32_t>> blocks;
  std::vector<const ExpertMask*> masks;    ///< empty if no row is restricted

  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(position.size()); }
};

}  // namespace flexpert::engine
