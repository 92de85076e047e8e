#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace flexpert::net {

/// A place to listen on or connect to: "unix:PATH" or "HOST:PORT" (IPv4, "[IPv6]", a host name; "*" listens on all).
/// "localhost" is 127.0.0.1; other names are looked up when they are used, see name_lookup.h.
struct Address {
  bool is_unix = false;
  std::string host_or_path;
  std::uint16_t port = 0;

  /// Parses text; the message says what is allowed. Unix paths over 107 bytes are refused (the kernel's limit).
  static Result<Address> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  /// Tells whether the host is a name that has to be looked up before the kernel can connect to it.
  [[nodiscard]] bool needs_lookup() const;
  auto operator<=>(const Address&) const = default;
};

}  // namespace flexpert::net
