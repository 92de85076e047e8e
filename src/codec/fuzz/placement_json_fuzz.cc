// Any bytes as our own placement file: an error, or a valid layout on a valid cluster that the writer gives back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/placement_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  using namespace flexpert::codec;
  const auto file = parse_placement_json({reinterpret_cast<const char*>(data), size});
  if (!file) return 0;
  if (!validate(file->plan.layout) || !validate(file->cluster)) std::abort();
  const std::string text = write_placement_json(*file);
  const auto again = parse_placement_json(text);
  if (!again || again->plan.layout != file->plan.layout || again->cluster != file->cluster || write_placement_json(*again) != text) std::abort();
  return 0;
}
