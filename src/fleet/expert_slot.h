#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace flexpert {

/// A logical expert: one feed-forward network of one MoE layer. `layer` counts all decoder layers of the model,
/// the dense ones too.
struct ExpertSlot {
  std::uint32_t layer = 0;
  std::uint32_t expert = 0;

  auto operator<=>(const ExpertSlot&) const = default;
};

/// The extent of a model's experts. Dense tables over (layer, expert) are row-major: index = layer * experts + expert.
struct ExpertGeometry {
  std::uint32_t layers = 0;
  std::uint32_t experts = 0;

  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(layers) * experts; }
  [[nodiscard]] std::size_t index(ExpertSlot slot) const { return static_cast<std::size_t>(slot.layer) * experts + slot.expert; }
  [[nodiscard]] ExpertSlot slot(std::size_t index) const {
    return {static_cast<std::uint32_t>(index / experts), static_cast<std::uint32_t>(index % experts)};
  }
  [[nodiscard]] bool contains(ExpertSlot slot) const { return slot.layer < layers && slot.expert < experts; }
  auto operator<=>(const ExpertGeometry&) const = default;
};

}  // namespace flexpert
