#include "engine/model/expert_mask.h"

#include "base/check.h"

namespace flexpert::engine {

Result<std::shared_ptr<const ExpertMask>> ExpertMask::make(const ExpertSet& forbidden, const ModelConfig& config) {
  const ExpertGeometry geometry = config.expert_geometry();
  std::shared_ptr<ExpertMask> mask(new ExpertMask(geometry));
  for (const ExpertSlot slot : forbidden.slots()) {
    if (!geometry.contains(slot) || !config.is_moe_layer(slot.layer))
      return fail(ErrorCode::kPermissionDenied, "the rights name an expert that this model does not have: layer {}, expert {}", slot.layer,
          slot.expert);
    mask->allowed_bits_[geometry.index(slot)] = false;
  }
  for (std::uint32_t layer = 0; layer < geometry.layers; ++layer) {
    if (!config.is_moe_layer(layer)) continue;
    Layer& lists = mask->layers_[layer];
    for (std::uint32_t expert = 0; expert < geometry.experts; ++expert)
      (mask->allows({layer, expert}) ? lists.allowed : lists.forbidden).push_back(expert);
    if (lists.allowed.empty()) return fail(ErrorCode::kPermissionDenied, "no expert of layer {} may be used with these rights", layer);
  }
  return mask;
}

std::uint32_t count_restricted(RowMasks masks, ExpertSlot slot, std::span<const std::uint32_t> rows) {
  if (masks.empty()) return 0;
  std::uint32_t count = 0;
  for (const std::uint32_t row : rows) {
    if (masks[row] == nullptr) continue;
    FLEXPERT_CHECK(masks[row]->allows(slot), "an expert is to be computed for a request that must not use it");
    ++count;
  }
  return count;
}

}  // namespace flexpert::engine
