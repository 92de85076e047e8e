#include "gateway/registration_networks.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace flexpert::gateway {
namespace {

using Network = RegistrationNetworks::Network;

constexpr unsigned kBits = 128;
constexpr unsigned kMappedBits = 96;

std::optional<Network> parse_ip(std::string_view text) {
  const std::string terminated(text);
  Network address;
  in_addr v4{};
  if (::inet_pton(AF_INET, terminated.c_str(), &v4) == 1) {
    address.v4 = true;
    address.address[10] = address.address[11] = 0xff;
    std::memcpy(&address.address[12], &v4, sizeof v4);
    return address;
  }
  if (::inet_pton(AF_INET6, terminated.c_str(), address.address.data()) == 1) return address;
  return std::nullopt;
}

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  auto network = parse_ip(text.substr(0, slash));
  if (!network || slash == std::string_view::npos) return network;
  const std::string_view digits = text.substr(slash + 1);
  const unsigned offset = network->v4 ? kMappedBits : 0;
  unsigned bits = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || bits > kBits - offset) return std::nullopt;
  network->bits = bits + offset;
  return network;
}

bool contains(const Network& network, const Network& address) {
  if (network.v4 != address.v4) return false;
  for (unsigned bit = 0; bit < network.bits; bit += 8) {
    const unsigned left = std::min(8U, network.bits - bit);
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - left));
    if (((network.address[bit / 8] ^ address.address[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

struct Forbidden {
  const char* network;
  const char* why;
};

/// From the IANA special-purpose address registries, and the clouds' own documentation for metadata.
constexpr Forbidden kForbidden[] = {
    {"0.0.0.0/8", "unspecified"},
    {"169.254.0.0/16", "link-local or a metadata service"},
    {"100.100.100.200", "a metadata service"},
    {"192.0.0.192", "a metadata service"},
    {"168.63.129.16", "a metadata service"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved or broadcast"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "reserved"},
    {"fd00:ec2::/32", "a metadata service"},
    {"fd20:ce::254", "a metadata service"},
    {"ff00::/8", "multicast"},
    {"::ffff:0:0/96", "an IPv4 address inside an IPv6 one"},
    {"::ffff:0:0:0/96", "an IPv4 address inside an IPv6 one"},
    {"::/96", "unspecified, or an IPv4 address inside an IPv6 one"},
    {"64:ff9b::/96", "an IPv4 address inside an IPv6 one"},
    {"64:ff9b:1::/48", "an IPv4 address inside an IPv6 one"},
    {"2002::/16", "an IPv4 address inside an IPv6 one"},
    {"2001::/32", "an IPv4 address inside an IPv6 one"},
};
constexpr const char* kLoopback[] = {"127.0.0.0/8", "::1"};

bool is_loopback(const Network& address) {
  return std::any_of(std::begin(kLoopback), std::end(kLoopback),
                     [&](const char* network) { return contains(*parse_network(network), address); });
}

}  // namespace

Result<RegistrationNetworks> RegistrationNetworks::parse(const std::vector<std::string>& cidrs) {
  RegistrationNetworks parsed;
  for (const std::string& cidr : cidrs) {
    const auto network = parse_network(cidr);
    if (!network)
      return fail(ErrorCode::kInvalidArgument,
                  "access.pool_networks: must be addresses with a prefix length, such as 10.0.0.0/8 or fd12::/16: '{}'", cidr);
    parsed.networks_.push_back(*network);
  }
  return parsed;
}

Result<void> RegistrationNetworks::permits(std::string_view ip) const {
  const auto address = parse_ip(ip);
  if (!address) return fail(ErrorCode::kPermissionDenied, "not an IP address: '{}'", ip);
  const bool loopback = is_loopback(*address);
  for (const Forbidden& forbidden : kForbidden) {
    if (loopback || !contains(*parse_network(forbidden.network), *address)) continue;
    return fail(ErrorCode::kPermissionDenied, "engines never register from such an address ({}): {}", forbidden.why, ip);
  }
  for (const Network& network : networks_) {
    // A wide network does not mean the gateway's own machine.
    const bool means_it = !loopback || is_loopback(network);
    if (means_it && contains(network, *address)) return {};
  }
  return fail(ErrorCode::kPermissionDenied, "in none of access.pool_networks: {}", ip);
}

}  // namespace flexpert::gateway
