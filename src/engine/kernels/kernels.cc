#include "engine/kernels/kernels.h"

#include <atomic>

#include "engine/kernels/kernel_table.h"

namespace flexpert::engine {
namespace {

std::atomic<bool> g_portable{false};  // tests only

std::size_t panels_of(const PackedMatrix& w) { return (w.outputs + kPanelOutputs - 1) / kPanelOutputs; }

void matmul_here(const KernelTable& kernels, const PackedMatrix& w, const float* x, std::size_t rows, float* y) {
  kernels.matmul_panels(w, x, rows, w.inputs, y, w.outputs, 0, panels_of(w));
}

}  // namespace

const KernelTable& active_kernels() {
  static const KernelTable* const kBest = avx2_kernels() != nullptr ? avx2_kernels() : &portable_kernels();
  return g_portable.load(std::memory_order_relaxed) ? portable_kernels() : *kBest;
}

const std::string& kernel_identity() {
  static const std::string kIdentity = "f32-fma-ascending/exp-taylor7/1";
  return kIdentity;
}

void force_portable_kernels(bool portable) { g_portable.store(portable, std::memory_order_relaxed); }

void matmul(const PackedMatrix& w, const float* x, std::size_t rows, std::size_t x_stride, float* y, std::size_t y_stride,
            ComputePool& pool) {
  if (rows == 0) return;
  const KernelTable& kernels = active_kernels();
  // Under about 64 K multiply-adds a second thread costs more than it saves.
  constexpr std::size_t kLeastWork = 65536;
  const std::size_t panel_work = kPanelOutputs * rows * w.inputs;
  const std::size_t grain = panel_work == 0 ? 4 : (kLeastWork + panel_work - 1) / panel_work;
  pool.parallel_for(static_cast<std::uint32_t>(panels_of(w)), static_cast<std::uint32_t>(grain < 4 ? 4 : grain),
                    [&](std::uint32_t begin, std::uint32_t end) {
                      kernels.matmul_panels(w, x, rows, x_stride, y, y_stride, begin, end);
                    });
}

void expert_mlp(const ExpertWeights& w, const float* x, std::size_t rows, float* out, float* scratch) {
  const KernelTable& kernels = active_kernels();
  float* gate = scratch;
  float* up = scratch + rows * w.gate.outputs;
  matmul_here(kernels, w.gate, x, rows, gate);
  matmul_here(kernels, w.up, x, rows, up);
  kernels.silu_multiply(gate, up, rows * w.gate.outputs);
  matmul_here(kernels, w.down, gate, rows, out);
}

std::size_t expert_scratch_floats(const ExpertWeights& w, std::size_t rows) { return 2 * rows * w.gate.outputs; }

}  // namespace flexpert::engine
