#include "engine/expert/group_compute.h"

#include <algorithm>
#include <cstring>

#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

/// Reading an expert's weights costs about as much as computing this many rows with them.
constexpr std::uint32_t kWeightsInRows = 4;
/// Fewer rows than this are not worth reading the weights a second time.
constexpr std::uint32_t kLeastSplit = 8;
/// Below so many multiply-adds, waking another thread costs more than it saves.
constexpr std::uint64_t kWorthThreads = 1U << 20;

}  // namespace

void GroupCompute::split(std::span<const ComputeGroup> groups) {
  pieces_.clear();
  std::uint64_t total = 0;
  for (const ComputeGroup& group : groups) total += group.rows.size() + kWeightsInRows;
  const std::uint64_t threads = workers_.size();
  const std::uint64_t limit = threads == 1 ? total : std::max<std::uint64_t>(kLeastSplit, total / (2 * threads));
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto rows = static_cast<std::uint32_t>(groups[g].rows.size());
    if (rows == 0) continue;
    const auto parts = static_cast<std::uint32_t>((rows + limit - 1) / limit);
    for (std::uint32_t part = 0; part < parts; ++part) {
      const auto first = static_cast<std::uint32_t>(std::uint64_t{rows} * part / parts);
      const auto last = static_cast<std::uint32_t>(std::uint64_t{rows} * (part + 1) / parts);
      pieces_.push_back({static_cast<std::uint32_t>(g), first, last - first});
    }
  }
}

void GroupCompute::run(std::span<const float> rows, std::uint32_t hidden, std::span<const ComputeGroup> groups) {
  if (workers_.size() != pool_.threads()) workers_.resize(pool_.threads());
  split(groups);
  if (pieces_.empty()) return;
  rows_ = rows;
  groups_ = groups;
  hidden_ = hidden;
  next_.store(0, std::memory_order_relaxed);
  std::uint64_t work = 0;
  for (const Piece& piece : pieces_) work += std::uint64_t{piece.count} * 3 * hidden * groups[piece.group].weights->gate.outputs;
  if (workers_.size() == 1 || pieces_.size() == 1 || work < kWorthThreads) {
    run_pieces(workers_[0]);
    return;
  }
  // The largest first, so that no thread is left with one at the end.
  std::sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) {
    return a.count != b.count ? a.count > b.count : a.group != b.group ? a.group < b.group : a.first < b.first;
  });
  pool_.parallel_for(static_cast<std::uint32_t>(workers_.size()), 1, [this](std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t w = begin; w < end; ++w) run_pieces(workers_[w]);
  });
}

void GroupCompute::run_pieces(Worker& worker) {
  const auto take = [this] { return next_.fetch_add(1, std::memory_order_relaxed); };
  for (std::uint32_t i = take(); i < pieces_.size(); i = take()) run_piece(worker, pieces_[i]);
}

void GroupCompute::run_piece(Worker& worker, const Piece& piece) {
  const ComputeGroup& group = groups_[piece.group];
  const auto indices = group.rows.subspan(piece.first, piece.count);
  const float* x = rows_.data() + std::size_t{indices[0]} * hidden_;
  const bool contiguous = indices.back() - indices.front() + 1 == indices.size() && std::is_sorted(indices.begin(), indices.end());
  if (!contiguous) {
    const std::size_t floats = indices.size() * hidden_;
    if (worker.gathered.size() < floats) worker.gathered.resize(floats);
    for (std::size_t i = 0; i < indices.size(); ++i)
      std::memcpy(worker.gathered.data() + i * hidden_, rows_.data() + std::size_t{indices[i]} * hidden_, hidden_ * sizeof(float));
    x = worker.gathered.data();
  }
  const std::size_t scratch = expert_scratch_floats(*group.weights, piece.count);
  if (worker.scratch.size() < scratch) worker.scratch.resize(scratch);
  expert_mlp(*group.weights, x, piece.count, group.out + std::size_t{piece.first} * hidden_, worker.scratch.data());
}

}  // namespace flexpert::engine
