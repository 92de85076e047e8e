#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/pool_snapshot_json.h"

/// Any bytes either are refused or come back the same when encoded again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto snapshot = flexpert::codec::decode_pools_snapshot({reinterpret_cast<const char*>(data), size});
  if (!snapshot) return 0;
  const std::string text = flexpert::codec::encode(*snapshot);
  const auto again = flexpert::codec::decode_pools_snapshot(text);
  if (!again || flexpert::codec::encode(*again) != text) std::abort();
  return 0;
}
