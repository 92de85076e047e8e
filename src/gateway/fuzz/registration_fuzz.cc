// What an engine says of itself, and the networks that it may say it from.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "gateway/engine_registration_body.h"
#include "gateway/registration_networks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool url_only : {false, true}) {
    const auto parsed = gateway::parse_registration(text, url_only);
    if (!parsed) continue;
    FLEXPERT_CHECK(!parsed->address.is_unix && parsed->address.port != 0, "an engine is reached over TCP");
    FLEXPERT_CHECK(parsed->weight > 0 && parsed->models.size() <= 64, "what is read is within its limits");
  }
  const auto networks = gateway::RegistrationNetworks::parse({std::string(text.substr(0, 64))});
  if (networks) {
    FLEXPERT_CHECK(!networks->permits("169.254.169.254"), "metadata is never permitted");
    FLEXPERT_CHECK(!networks->permits("::ffff:10.0.0.1"), "nor IPv4 inside IPv6");
  }
  return 0;
}
