#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/weights/model_config.h"
#include "fleet/expert_set.h"

namespace flexpert::engine {

/// Which experts a request may use, layer by layer. Immutable; shared by all requests with the same rights. Any thread.
class ExpertMask {
 public:
  /// Errors: kPermissionDenied if a layer has no allowed expert left, or `forbidden` names an expert that the model does not
  /// have: rights that were written for another model protect nothing of this one.
  static Result<std::shared_ptr<const ExpertMask>> make(const ExpertSet& forbidden, const ModelConfig& config);

  [[nodiscard]] bool allows(ExpertSlot slot) const { return allowed_bits_[geometry_.index(slot)]; }
  /// Returns the layer's experts of either kind, ascending.
  [[nodiscard]] std::span<const std::uint32_t> allowed(std::uint32_t layer) const { return layers_[layer].allowed; }
  [[nodiscard]] std::span<const std::uint32_t> forbidden(std::uint32_t layer) const { return layers_[layer].forbidden; }

 private:
  struct Layer {
    std::vector<std::uint32_t> allowed;
    std::vector<std::uint32_t> forbidden;
  };
  explicit ExpertMask(ExpertGeometry geometry) : geometry_(geometry), layers_(geometry.layers), allowed_bits_(geometry.size(), true) {}

  ExpertGeometry geometry_;
  std::vector<Layer> layers_;
  std::vector<bool> allowed_bits_;
};

/// The masks of a step's rows, by row; empty when no row is restricted, and null for rows that are not.
using RowMasks = std::span<const ExpertMask* const>;

/// Counts those of `rows` that belong to restricted requests, and checks that each may use `slot`: wherever experts are
/// computed, a forbidden one ends the process rather than being computed.
std::uint32_t count_restricted(RowMasks masks, ExpertSlot slot, std::span<const std::uint32_t> rows);

}  // namespace flexpert::engine
