#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/scale_plan_json.h"

/// Any bytes either are refused or come back the same when encoded again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto plan = flexpert::codec::decode_scale_plan({reinterpret_cast<const char*>(data), size});
  if (!plan) return 0;
  const std::string text = flexpert::codec::encode(*plan);
  const auto again = flexpert::codec::decode_scale_plan(text);
  if (!again || flexpert::codec::encode(*again) != text) std::abort();
  return 0;
}
