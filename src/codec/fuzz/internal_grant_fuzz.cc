// The first byte chooses: the bytes as a field's value, as a payload's text, or as a payload's bytes (which base64url would
// otherwise shield). What is taken must be what would have been written: no two texts mean the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/base64url.h"
#include "codec/internal_grant.h"

namespace {

using namespace flexpert::codec;

void check_payload(std::string_view payload) {
  const auto grant = parse_internal_grant(payload);
  if (!grant) return;
  const auto again = internal_grant_payload(*grant);
  if (!again || *again != payload) std::abort();
}

void check_value(std::string_view value) {
  const auto split = split_internal_grant(value);
  if (!split) return;
  if (internal_grant_value(split->payload, split->signature) != value) std::abort();
  check_payload(split->payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string encoded;
  flexpert::append_base64url(encoded, rest);
  const auto back = flexpert::from_base64url(encoded);
  if (!back || *back != rest) std::abort();
  switch (data[0] % 3) {
    case 0: check_value(rest); break;
    case 1: check_payload(rest); break;
    default: check_payload(encoded);
  }
  return 0;
}
