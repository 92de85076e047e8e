#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// The zip container, as torch.save and numpy.savez use it: stored or deflated members, zip64, no encryption.
namespace flexpert::codec {

struct ZipLimits {
  std::size_t entries = 65'536;
  std::uint64_t entry_bytes = std::uint64_t{1} << 30;  ///< unpacked
  std::uint64_t total_bytes = std::uint64_t{1} << 31;  ///< unpacked, all entries
};

struct ZipEntry {
  std::string name;
  std::uint16_t method = 0;  ///< 0 stored, 8 deflated
  std::uint32_t crc = 0;
  std::uint64_t size = 0;    ///< unpacked
  std::uint64_t begin = 0;   ///< packed bytes in the file: [begin, end)
  std::uint64_t end = 0;
};

/// A zip file's directory, checked as a whole: names once, entries inside the file and apart from each other, sizes within
/// the limits and possible for their packed bytes (no zip bomb), local headers that say the same as the directory.
class ZipArchive {
 public:
  /// Reads the directory. `bytes` must outlive the archive. Errors name the entry.
  static Result<ZipArchive> open(std::string_view bytes, const ZipLimits& limits = {});

  [[nodiscard]] const std::vector<ZipEntry>& entries() const { return entries_; }
  /// Returns the entry of that name, or null.
  [[nodiscard]] const ZipEntry* find(std::string_view name) const;
  /// Unpacks an entry of this archive and checks its CRC.
  [[nodiscard]] Result<std::string> read(const ZipEntry& entry) const;

 private:
  explicit ZipArchive(std::string_view bytes) : bytes_(bytes) {}

  std::string_view bytes_;
  std::vector<ZipEntry> entries_;  ///< in the directory's order
};

/// Makes a zip file of stored entries whose data begin at multiples of 64 bytes, as PyTorch's do. No times: the same
/// entries give the same file.
class ZipWriter {
 public:
  /// Errors: the archive would reach 4 GiB or 65,535 entries.
  Result<void> add(std::string_view name, std::string_view bytes);
  /// Writes the directory and returns the file. Nothing may be added after.
  [[nodiscard]] std::string finish();

 private:
  std::string file_;
  std::string directory_;
  std::uint16_t entries_ = 0;
};

}  // namespace flexpert::codec
