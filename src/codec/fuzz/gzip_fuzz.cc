// Any bytes as a gzip file, and as a raw deflate stream: an error, or what the compressor turns into the same again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/gzip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  constexpr std::size_t kMost = std::size_t{1} << 20;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto text = gunzip(bytes, kMost)) {
    if (text->size() > kMost) std::abort();
    const auto again = gunzip(*gzip(*text), text->size());
    if (!again || *again != *text) std::abort();
    if (!text->empty() && gunzip(bytes, text->size() - 1)) std::abort();
  }
  for (const std::size_t announced : {0UL, 16UL, 4096UL})
    if (const auto text = inflate_raw(bytes, announced); text && text->size() != announced) std::abort();
  return 0;
}
