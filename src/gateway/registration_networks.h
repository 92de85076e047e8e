#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::gateway {

/// The networks whose engines may register. Whatever is listed, never: link-local, the clouds' metadata services, multicast, broadcast,
/// reserved and unspecified addresses, and IPv4 addresses written inside IPv6 ones; and loopback only where a loopback network is
/// listed itself. Immutable.
class RegistrationNetworks {
 public:
  RegistrationNetworks() = default;
  /// `cidrs`: "10.0.0.0/8", "fd12::/16", or single addresses. Errors: kInvalidArgument naming the entry.
  static Result<RegistrationNetworks> parse(const std::vector<std::string>& cidrs);
  /// Tells whether engines at `ip`, a numeric address, may register. Errors: kPermissionDenied, with the reason.
  [[nodiscard]] Result<void> permits(std::string_view ip) const;
  [[nodiscard]] bool empty() const { return networks_.empty(); }

  /// An address as 16 bytes; IPv4 as ::ffff:a.b.c.d.
  using Bytes = std::array<std::uint8_t, 16>;
  struct Network {
    Bytes address{};
    bool v4 = false;
    unsigned bits = 128;
  };

 private:
  std::vector<Network> networks_;
};

}  // namespace flexpert::gateway
