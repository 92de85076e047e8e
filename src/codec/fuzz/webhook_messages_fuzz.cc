// Feeds arbitrary bytes to the decoders of the webhook backend's messages: what they accept comes back alike.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "codec/webhook_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto progress = decode_webhook_progress(input)) {
    const auto again = decode_webhook_progress(encode(*progress));
    FLEXPERT_CHECK(again.has_value() && *again == *progress, "a progress changes on its way");
  }
  if (const auto desired = decode_webhook_desired(input)) {
    const auto again = decode_webhook_desired(encode(*desired));
    FLEXPERT_CHECK(again.has_value() && encode(*again) == encode(*desired), "a desired state changes on its way");
  }
  return 0;
}
