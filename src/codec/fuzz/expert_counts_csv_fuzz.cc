// Any bytes as counts in CSV: an error, or valid counts that our own writer gives back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/expert_counts_csv.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const auto counts = parse_expert_counts_csv({reinterpret_cast<const char*>(data), size});
  if (!counts) return 0;
  if (!flexpert::validate(*counts)) std::abort();
  const auto again = parse_expert_counts_csv(write_expert_counts_csv(*counts));
  if (!again || *again != *counts) std::abort();
  return 0;
}
