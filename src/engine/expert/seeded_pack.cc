#include "engine/expert/seeded_pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <vector>

#include <xxhash.h>

#include "base/rng.h"
#include "engine/expert/pack_writer.h"

namespace flexpert::engine {
namespace {

/// Fills with bf16 values spread evenly over (-scale, scale).
void fill(Rng& rng, float scale, std::span<std::uint16_t> weights) {
  for (std::size_t i = 0; i < weights.size(); i += 4) {
    std::uint64_t bits = rng.next();
    for (std::size_t j = i; j < std::min(i + 4, weights.size()); ++j, bits >>= 16) {
      const float value = (static_cast<float>(bits & 0xffff) / 32768.0F - 1.0F) * scale;
      weights[j] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
    }
  }
}

}  // namespace

std::string seeded_fingerprint(const SeededPackShape& shape) {
  const std::uint64_t facts[] = {shape.geometry.layers, shape.geometry.experts, shape.hidden, shape.intermediate, shape.seed};
  return fmt::format("{:016x}", XXH3_64bits(facts, sizeof(facts)));
}

Result<void> write_seeded_pack(const std::string& path, const SeededPackShape& shape) {
  FLEXPERT_ASSIGN(auto writer, PackWriter::create(path, {.model_fingerprint = seeded_fingerprint(shape),
                                                         .geometry = shape.geometry,
                                                         .hidden = shape.hidden,
                                                         .intermediate = shape.intermediate,
                                                         .type = WeightType::kBF16}));
  const std::size_t matrix = std::size_t{shape.hidden} * shape.intermediate;
  std::vector<std::uint16_t> weights(3 * matrix);
  const float scale = 1.0F / std::sqrt(static_cast<float>(shape.hidden));
  for (std::size_t i = 0; i < shape.geometry.size(); ++i) {
    Rng rng(shape.seed * 0x9e3779b97f4a7c15ULL + i);
    fill(rng, scale, weights);
    const auto bytes = std::as_bytes(std::span(weights));
    FLEXPERT_TRY(writer->add(shape.geometry.slot(i), bytes.first(2 * matrix),
                             bytes.subspan(2 * matrix, 2 * matrix), bytes.last(2 * matrix)));
  }
  return writer->finish();
}

}  // namespace flexpert::engine
