#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fleet/expert_slot.h"

namespace flexpert {

/// Routing recorded token by token: the experts that every token of some requests chose in every layer.
struct RoutingTrace {
  struct Request {
    std::string topic;              ///< what it is about: a dataset's name
    std::string category;           ///< within the topic; may be empty
    std::uint64_t first_token = 0;
    std::uint64_t tokens = 0;
  };
  ExpertGeometry geometry;
  std::uint32_t top_k = 0;
  std::vector<std::uint8_t> experts;  ///< [token][layer][top_k]
  std::vector<Request> requests;      ///< in order; a topic's requests are consecutive

  /// Returns the bytes of one token: layers * top_k.
  [[nodiscard]] std::size_t token_size() const { return static_cast<std::size_t>(geometry.layers) * top_k; }
  [[nodiscard]] std::uint64_t tokens() const { return token_size() == 0 ? 0 : experts.size() / token_size(); }
  /// Returns the top_k experts of a token in a layer.
  [[nodiscard]] std::span<const std::uint8_t> choice(std::uint64_t token, std::uint32_t layer) const {
    return std::span(experts).subspan(token * token_size() + static_cast<std::size_t>(layer) * top_k, top_k);
  }
};

}  // namespace flexpert
