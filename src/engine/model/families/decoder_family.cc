#include "engine/model/families/decoder_family.h"

#include <array>

namespace flexpert::engine {

const DecoderFamily* find_decoder_family(std::string_view architecture) {
  static const std::array<const DecoderFamily*, 1> kFamilies = {&kQwen3MoeDecoder};
  for (const DecoderFamily* family : kFamilies)
    if (architecture == family->architecture) return family;
  return nullptr;
}

}  // namespace flexpert::engine
