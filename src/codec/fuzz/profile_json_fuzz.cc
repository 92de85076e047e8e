// Any bytes as a profile: an error, or a profile that is written and read back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/profile_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const auto profile = parse_profile_json(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!profile) return 0;
  const auto again = parse_profile_json(write_profile_json(*profile));
  if (!again || *again != *profile) std::abort();
  return 0;
}
