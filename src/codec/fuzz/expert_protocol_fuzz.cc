#include <algorithm>
#include <cstring>

#include "codec/expert_protocol.h"

namespace {

using namespace flexpert::expert_protocol;

void decode_all(std::span<const std::byte> payload) {
  (void)decode_hello(payload);
  (void)decode_hello_reply(payload);
  if (const auto batch = decode_batch(payload)) {
    float sum = 0;
    for (const std::uint32_t row : batch->row_indices) sum += batch->rows[std::size_t{row} * batch->hidden];
    volatile float sink = sum;
    (void)sink;
  }
  (void)decode_result(payload);
  (void)decode_prepare(payload);
  (void)decode_drain(payload);
  (void)decode_stats_reply(payload);
  (void)decode_error(payload);
}

}  // namespace

/// The first byte chooses: the bytes as a stream, or as a payload (which checksums would otherwise shield).
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  if (data[0] % 2 == 0) {
    std::vector<std::uint32_t> words(bytes.size() / 4);
    if (!words.empty()) std::memcpy(words.data(), bytes.data(), words.size() * 4);
    decode_all(std::as_bytes(std::span(words)));
    return 0;
  }
  FrameDecoder decoder(1 << 16);
  std::size_t chunk = data[0] / 2 + 1U;
  for (std::size_t at = 0; at < bytes.size(); at += chunk) {
    const std::size_t count = std::min(chunk, bytes.size() - at);
    std::memcpy(decoder.space(count).data(), bytes.data() + at, count);
    decoder.received(count);
    while (true) {
      const auto frame = decoder.next();
      if (!frame) return 0;
      if (!*frame) break;
      decode_all((*frame)->payload);
    }
  }
  return 0;
}
