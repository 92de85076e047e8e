#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "fleet/expert_slot.h"

namespace flexpert::engine {

/// The geometry of a pack of made-up weights. The defaults are two layers of Qwen3-30B-A3B.
struct SeededPackShape {
  ExpertGeometry geometry{2, 128};
  std::uint32_t hidden = 2048;
  std::uint32_t intermediate = 768;
  std::uint64_t seed = 1;
};

/// Returns the fingerprint that write_seeded_pack() gives: it names geometry and seed.
std::string seeded_fingerprint(const SeededPackShape& shape);

/// Writes a pack of seeded bf16 weights, for measurements at the size of a real model. The same shape gives the same
/// bytes on every machine.
Result<void> write_seeded_pack(const std::string& path, const SeededPackShape& shape);

}  // namespace flexpert::engine
