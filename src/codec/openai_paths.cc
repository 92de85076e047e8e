#include "codec/openai_paths.h"

#include <charconv>

namespace flexpert::codec {

std::optional<std::string> model_of_path(std::string_view path) {
  constexpr std::string_view kPrefix = "/v1/models/";
  if (!path.starts_with(kPrefix) || path.size() == kPrefix.size()) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  std::string model;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      model += path[i];
      continue;
    }
    unsigned byte = 0;
    const std::string_view digits = path.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) return std::nullopt;
    model += static_cast<char>(byte);
    i += 2;
  }
  return model;
}

}  // namespace flexpert::codec
