// Any bytes as the pair of files of a profile, the first half and the second: an error, or columns of one length.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/classic_profile_files.h"

namespace {

void check(std::string_view prefill, std::string_view decode) {
  const auto s = flexpert::codec::parse_dynamo_profile(prefill, decode);
  if (!s) return;
  if (s->prefill_isl.size() != s->prefill_ttft_ms.size() || s->prefill_isl.size() != s->prefill_throughput_per_gpu.size()) std::abort();
  if (s->decode_kv_usage.size() != s->decode_itl_ms.size() || s->decode_kv_usage.size() != s->decode_context_length.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes, bytes);
  check(bytes.substr(0, size / 2), bytes.substr(size / 2));
  return 0;
}
