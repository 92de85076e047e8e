#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/kernels/packed_matrix.h"

/// The bytes of a pack file; the specification is docs/reference/pack-file.md. Little-endian.
namespace flexpert::engine::pack {

inline constexpr char kMagic[8] = {'F', 'L', 'E', 'X', 'P', 'A', 'C', 'K'};
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kPageBytes = 4096;
inline constexpr std::uint32_t kMatrixAlignment = 64;
inline constexpr std::uint32_t kMaxExtent = 65536;      ///< layers, experts
inline constexpr std::uint32_t kMaxWidth = 1U << 20;    ///< hidden, intermediate

/// The first page of the file; the rest of the page is zero.
struct Header {
  char magic[8];
  std::uint32_t version;
  std::uint32_t page_bytes;
  std::uint64_t file_bytes;
  std::uint32_t layers;
  std::uint32_t experts;
  std::uint32_t hidden;
  std::uint32_t intermediate;
  std::uint32_t weight_type;
  std::uint32_t reserved;
  std::uint64_t table_offset;
  std::uint64_t table_hash;
  char model_fingerprint[64];  ///< filled with zeros
  char kernel_identity[128];   ///< filled with zeros
  std::uint64_t header_hash;   ///< XXH3-64 of everything before it
};
static_assert(sizeof(Header) == 264);

/// One (layer, expert), row-major. All zero: the model has no such expert (a dense layer).
struct Entry {
  std::uint64_t offset;
  std::uint64_t bytes;
  std::uint64_t hash;  ///< XXH3-64 of the expert's bytes
  std::uint64_t reserved;
};
static_assert(sizeof(Entry) == 32);

/// Where an expert's three matrices stand, relative to its offset.
struct ExpertLayout {
  std::size_t gate = 0;
  std::size_t up = 0;
  std::size_t down = 0;
  std::size_t bytes = 0;
};

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t to) { return (value + to - 1) / to * to; }

inline ExpertLayout layout_of(WeightType type, std::uint32_t hidden, std::uint32_t intermediate) {
  ExpertLayout layout;
  layout.up = align_up(packed_bytes(type, intermediate, hidden), kMatrixAlignment);
  layout.down = align_up(layout.up + packed_bytes(type, intermediate, hidden), kMatrixAlignment);
  layout.bytes = align_up(layout.down + packed_bytes(type, hidden, intermediate), kMatrixAlignment);
  return layout;
}

/// What to tell somebody whose pack file cannot be used.
inline std::string remedy(const std::string& path) { return "make it anew with: flexpert pack --model DIR --out " + path; }

}  // namespace flexpert::engine::pack
