#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/compute_pool.h"
#include "engine/kernels/packed_matrix.h"

namespace flexpert::engine {

/// One expert's share of a layer.
struct ComputeGroup {
  const ExpertWeights* weights = nullptr;
  std::span<const std::uint32_t> rows;  ///< indices into the layer's rows
  float* out = nullptr;                 ///< rows.size() x hidden
};

/// Runs expert groups over a compute pool, large groups split by rows. The bits do not depend on the threads or the
/// split. Allocation-free once its buffers have grown. Belongs to one thread, the pool's caller.
class GroupCompute {
 public:
  explicit GroupCompute(ComputePool& pool) : pool_(pool), workers_(pool.threads()) {}

  /// Fills every group's `out`. `rows` holds `hidden` floats per row.
  void run(std::span<const float> rows, std::uint32_t hidden, std::span<const ComputeGroup> groups);

 private:
  struct Piece {
    std::uint32_t group = 0;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  struct Worker {
    std::vector<float> gathered;
    std::vector<float> scratch;
  };

  void split(std::span<const ComputeGroup> groups);
  void run_pieces(Worker& worker);
  void run_piece(Worker& worker, const Piece& piece);

  ComputePool& pool_;
  std::vector<Worker> workers_;
  std::vector<Piece> pieces_;
  std::atomic<std::uint32_t> next_{0};
  std::span<const float> rows_;
  std::span<const ComputeGroup> groups_;
  std::uint32_t hidden_ = 0;
};

}  // namespace flexpert::engine
