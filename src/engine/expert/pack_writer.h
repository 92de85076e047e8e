#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/expert/pack_format.h"
#include "fleet/expert_slot.h"

namespace flexpert::engine {

struct PackShape {
  std::string model_fingerprint;
  ExpertGeometry geometry;
  std::uint32_t hidden = 0;
  std::uint32_t intermediate = 0;
  WeightType type = WeightType::kBF16;
};

/// Writes a pack file beside its path (PATH.tmp) and puts it in place when it is whole. A writer that is destroyed before
/// finish() leaves nothing behind. Two writers of one path: the second is refused.
class PackWriter {
 public:
  static Result<std::unique_ptr<PackWriter>> create(const std::string& path, const PackShape& shape);
  ~PackWriter();
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  /// Packs and writes one expert from row-major matrices of the shape's type. Any order of slots; each at most once.
  Result<void> add(ExpertSlot slot, std::span<const std::byte> gate, std::span<const std::byte> up, std::span<const std::byte> down);
  /// Writes table and header, syncs, and renames PATH.tmp to PATH.
  Result<void> finish();

 private:
  PackWriter(std::string path, PackShape shape, int fd);
  Result<void> write_at(const void* data, std::size_t bytes, std::uint64_t offset);

  std::string path_;
  std::string temporary_;
  PackShape shape_;
  int fd_;
  std::vector<pack::Entry> table_;
  std::vector<std::byte> buffer_;
  std::uint64_t end_ = 0;
};

}  // namespace flexpert::engine
