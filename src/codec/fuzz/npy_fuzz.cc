// Any bytes as a .npy file, and as an .npz: an error, or an array of its shape, which our own writer gives back.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/npy.h"

namespace {

void check(const flexpert::codec::NumberArray& array) {
  using namespace flexpert::codec;
  const auto elements = element_count(array.shape, "fuzz");
  if (!elements || *elements != array.values.size()) std::abort();
  const auto written = write_npy(array, NpyType::kFloat64);
  if (!written) std::abort();
  const auto again = parse_npy(*written);
  if (!again || again->shape != array.shape) std::abort();
  for (std::size_t i = 0; i < array.values.size(); ++i)
    if (again->values[i] != array.values[i] && !std::isnan(array.values[i])) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto array = parse_npy(bytes)) check(*array);
  if (const auto array = parse_npz(bytes)) check(*array);
  return 0;
}
