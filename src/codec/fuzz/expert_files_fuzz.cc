// Any bytes as a file of counts, whatever its form: an error, or valid counts.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/expert_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  using namespace flexpert::codec;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // A small file may unpack to a large one; here that only costs time.
  if (bytes.starts_with("\x1f\x8b") && size > 4096) return 0;
  if (const auto counts = read_counts(bytes); counts && !validate(*counts)) std::abort();
  return 0;
}
