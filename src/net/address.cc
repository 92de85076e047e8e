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
    return fail(ErrorCode::kInvalidArgument, "address must be unix:PATH or HOST:PORT, where HOST is an IPv4 address, [IPv6], localhost or *: '{}'", text);
  std::string_view host = text.substr(0, colon);
  FLEXPERT_ASSIGN(const std::uint16_t port, parse_port(text.substr(colon + 1), text));
  if (host.front() == '[') {
    if (host.back() != ']' || !is_numeric(AF_INET6, std::string(host.substr(1, host.size() - 2))))
      return fail(ErrorCode::kInvalidArgument, "not an IPv6 address in brackets: '{}'", text);
    return Address{.host_or_path = std::string(host.substr(1, host.size() - 2)), .port = port};
  }
  if (host != "localhost" && host != "*" && !is_numeric(AF_INET, std::string(host)))
    return fail(ErrorCode::kInvalidArgument, "HOST must be an IPv4 address, [IPv6], localhost or * in address: '{}'", text);
  return Address{.host_or_path = std::string(host), .port = port};
}

std::string Address::to_string() const {
  if (is_unix) return "unix:" + host_or_path;
  if (host_or_path.find(':') != std::string::npos) return fmt::format("[{}]:{}", host_or_path, port);
  return fmt::format("{}:{}", host_or_path, port);
}

}  // namespace flexpert::net
