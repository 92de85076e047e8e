#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/kernels/packed_matrix.h"
#include "engine/weights/checkpoint.h"
#include "fleet/expert_slot.h"

namespace flexpert::engine {

/// The experts of a model in one mmapped file, laid out for the kernels; see docs/reference/pack-file.md.
/// Immutable, safe from any thread. Replicas on one host share one copy of memory.
class PackFile {
 public:
  /// Opens and checks header, size and table; the weights are not read. Errors say what is wrong and how to make a pack anew.
  static Result<std::shared_ptr<const PackFile>> open(const std::string& path);
  virtual ~PackFile() = default;

  [[nodiscard]] virtual const std::string& model_fingerprint() const = 0;
  [[nodiscard]] virtual ExpertGeometry geometry() const = 0;
  [[nodiscard]] virtual std::uint32_t hidden_size() const = 0;
  [[nodiscard]] virtual std::uint32_t intermediate_size() const = 0;
  /// Returns the weights, or nullptr for a slot that the model does not have (dense layers).
  [[nodiscard]] virtual const ExpertWeights* expert(ExpertSlot slot) const = 0;
  /// Asks the kernel to bring a slot's pages in; returns at once.
  virtual void prefetch(ExpertSlot slot) const = 0;
  /// Reads every expert and compares its hash.
  [[nodiscard]] virtual Result<void> verify() const = 0;
};

/// Packs the experts of a checkpoint: writes PATH.tmp and renames it. `on_progress(done, total)` counts experts.
Result<void> write_pack(const Checkpoint& checkpoint, const std::string& path,
                        const std::function<void(std::size_t, std::size_t)>& on_progress);

}  // namespace flexpert::engine
