#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "engine/model/decoder.h"

namespace flexpert::engine {

/// How a model family's checkpoint becomes a Decoder. The next family is one file beside qwen3_moe.cc and one line in
/// the table of decoder_family.cc.
struct DecoderFamily {
  const char* architecture;  ///< as in config.json "architectures"
  Result<DecoderParts> (*build)(std::shared_ptr<const Checkpoint> checkpoint);
};

/// Finds a family by its architecture, or null.
const DecoderFamily* find_decoder_family(std::string_view architecture);

extern const DecoderFamily kQwen3MoeDecoder;

}  // namespace flexpert::engine
