// Any bytes as a file of counts and as a file with a layout, whatever their form: an error, or something valid.
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
  for (const LayoutShape& shape : {LayoutShape{}, LayoutShape{.devices = 2}, LayoutShape{.devices = 1, .layers = 2, .experts = 3, .slots = 4}})
    if (const auto layout = read_layout(bytes, shape)) {
      if (!validate(*layout)) std::abort();
      if (shape.devices != 0 && layout->devices() != shape.devices) std::abort();
      if (shape.layers != 0 && layout->geometry.layers != shape.layers) std::abort();
    }
  return 0;
}
