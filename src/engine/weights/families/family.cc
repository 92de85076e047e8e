#include "engine/weights/families/family.h"

#include <array>

namespace flexpert::engine {

std::span<const Family* const> families() {
  static const std::array<const Family*, 1> kFamilies = {&kQwen3Moe};
  return kFamilies;
}

const Family* find_family(std::string_view architecture) {
  for (const Family* family : families())
    if (architecture == family->architecture) return family;
  return nullptr;
}

}  // namespace flexpert::engine
