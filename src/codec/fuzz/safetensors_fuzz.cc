// Any bytes as a safetensors file: an error or a table whose tensors lie inside the file, back to back.
#include <cstdint>
#include <cstdlib>

#include "codec/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto table = flexpert::codec::parse_safetensors(std::as_bytes(std::span(data, size)), size);
  if (!table) return 0;
  std::uint64_t at = table->data_begin;
  for (const auto& tensor : table->tensors) {
    if (tensor.begin != at || tensor.end < tensor.begin || tensor.end > size) std::abort();
    at = tensor.end;
  }
  if (at != size) std::abort();
  return 0;
}
