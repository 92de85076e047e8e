#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "codec/expert_protocol.h"
#include "engine/model/expert_executor.h"

namespace flexpert::engine {

/// A run of one batch group's rows.
struct BatchShare {
  std::uint32_t group = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

/// Writes the part of a layer that one server is to compute as a batch frame: a row that several experts need is sent
/// once. Allocation-free once its buffers have grown.
class BatchFrame {
 public:
  /// Gathers `shares` (which it sorts by group and row) of `batch`.
  void gather(const ExpertBatch& batch, std::span<BatchShare> shares);
  /// Tells whether the frame and its answer are within the protocol's bound.
  [[nodiscard]] bool fits() const;
  void write(expert_protocol::Bytes& out, std::uint64_t correlation, std::string_view instance) const;

  [[nodiscard]] std::uint32_t assignments() const { return static_cast<std::uint32_t>(indices_.size()); }
  [[nodiscard]] std::uint32_t distinct_experts() const { return distinct_experts_; }

 private:
  const ExpertBatch* batch_ = nullptr;
  std::vector<expert_protocol::BatchGroup> groups_;
  std::vector<std::uint32_t> place_of_;  ///< layer row -> row of the frame
  std::vector<std::uint32_t> rows_;      ///< row of the frame -> layer row
  std::vector<std::uint32_t> indices_;
  std::uint32_t distinct_experts_ = 0;
};

}  // namespace flexpert::engine
