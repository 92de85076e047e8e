// Feeds arbitrary bytes to the canonical form of request bodies: white space must not change it, and a body with one more field
// must never have the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "gateway/canonical_body.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using flexpert::gateway::CanonicalBody;
  constexpr std::string_view kPath = "/v1/chat/completions";
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  static CanonicalBody bodies;
  std::string text;
  if (!bodies.write(kPath, body, text).empty()) return 0;
  std::string other;
  std::string changed = " " + std::string(body) + "\n";
  FLEXPERT_CHECK(bodies.write(kPath, changed, other).empty() && other == text, "white space around a body changes its canonical form");
  const std::size_t brace = body.find('{');
  changed = std::string(body);
  changed.insert(brace + 1, " ");
  FLEXPERT_CHECK(bodies.write(kPath, changed, other).empty() && other == text, "white space in a body changes its canonical form");
  changed = std::string(body);
  changed.insert(brace + 1, "\"one more field\":1,");
  if (bodies.write(kPath, changed, other).empty()) FLEXPERT_CHECK(other != text, "two bodies have one canonical form");
  return 0;
}
