// Any bytes as a zip file: an error, or entries inside the file, within the limits, apart from each other.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/zip_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ZipLimits limits{.entries = 1000, .entry_bytes = std::uint64_t{1} << 20, .total_bytes = std::uint64_t{1} << 22};
  const auto archive = ZipArchive::open(bytes, limits);
  if (!archive) return 0;
  std::uint64_t packed = 0;
  std::uint64_t total = 0;
  for (const ZipEntry& entry : archive->entries()) {
    if (entry.begin > entry.end || entry.end > size || entry.size > limits.entry_bytes) std::abort();
    packed += entry.end - entry.begin;
    total += entry.size;
    if (archive->find(entry.name) != &entry) std::abort();
    if (const auto contents = archive->read(entry); contents && contents->size() != entry.size) std::abort();
  }
  if (packed > size || total > limits.total_bytes) std::abort();
  return 0;
}
