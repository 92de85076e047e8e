#include "net/address.h"

#include <arpa/inet.h>

#include <charconv>

namespace flexpert::net {
namespace {

constexpr std::size_t kLongestUnixPath = 107;

bool is_numeric(int family, const std::string& host) {
  in6_addr parsed{};
  return ::inet_pton(family, host.c_str(), &parsed) == 1;
}

/// Tells whether `host` can be the name of a host. Names of digits and dots only are IPv4 addresses with a mistake.
bool is_host_name(std::string_view host) {
  constexpr std::size_t kLongestName = 253;
  constexpr std::size_t kLongestLabel = 63;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > kLongestName || host.find_first_not_of("0123456789.") == std::string_view::npos) return false;
  std::size_t label = 0;
  for (const char c : host) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '.' ? label == 0 : (!alphanumeric && c != '_' && (c != '-' || label == 0))) return false;
    label = c == '.' ? 0 : label + 1;
    if (label > kLongestLabel) return false;
  }
  return label > 0;
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view whole) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stopped_at, error] = std::from_chars(text.data(), end, port);
  if (text.empty() || error != std::errc() || stopped_at != end)
    return fail(ErrorCode::kInvalidArgument, "port must be a number from 0 to 65535 in address: {}", whole);
  return port;
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.find('\0') != std::string_view::npos) return fail(ErrorCode::kInvalidArgument, "address has a NUL byte");
  if (text.starts_with(kUnix)) {
    const std::string_view path = text.substr(kUnix.size());
    if (path.empty()) return fail(ErrorCode::kInvalidArgument, "Unix address has no path; write unix:PATH");
    if (path.size() > kLongestUnixPath)
      return fail(ErrorCode::kInvalidArgument, "Unix socket path is longer than {} bytes ({}); use a shorter directory: {}",
                  kLongestUnixPath, path.size(), path);
    return Address{.is_unix = true, .host_or_path = std::string(path)};
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0)
    return fail(ErrorCode::kInvalidArgument, "address must be unix:PATH or HOST:PORT, where HOST is a name, an IPv4 address, [IPv6] or *: '{}'", text);
  std::string_view host = text.substr(0, colon);
  FLEXPERT_ASSIGN(const std::uint16_t port, parse_port(text.substr(colon + 1), text));
  if (host.front() == '[') {
    if (host.back() != ']' || !is_numeric(AF_INET6, std::string(host.substr(1, host.size() - 2))))
      return fail(ErrorCode::kInvalidArgument, "not an IPv6 address in brackets: '{}'", text);
    return Address{.host_or_path = std::string(host.substr(1, host.size() - 2)), .port = port};
  }
  if (host != "*" && !is_numeric(AF_INET, std::string(host)) && !is_host_name(host))
    return fail(ErrorCode::kInvalidArgument, "HOST must be a name, an IPv4 address, [IPv6] or * in address: '{}'", text);
  return Address{.host_or_path = std::string(host), .port = port};
}

bool Address::needs_lookup() const {
  return !is_unix && host_or_path != "localhost" && host_or_path != "*" && !is_numeric(AF_INET, host_or_path) && !is_numeric(AF_INET6, host_or_path);
}

std::string Address::to_string() const {
  if (is_unix) return "unix:" + host_or_path;
  if (host_or_path.find(':') != std::string::npos) return fmt::format("[{}]:{}", host_or_path, port);
  return fmt::format("{}:{}", host_or_path, port);
}

}  // namespace flexpert::net
