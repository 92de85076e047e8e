#include "gateway/header_rules.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace flexpert::gateway {
namespace {

constexpr std::array<std::string_view, 10> kHopByHop{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
                                                     "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length"};
constexpr std::string_view kInternalPrefix = "X-Flexpert-";

/// The names that Connection fields list are hop-by-hop too (RFC 9110, 7.6.1).
std::vector<std::string> listed_by_connection(const http::Headers& headers) {
  std::vector<std::string> names;
  for (const auto& [name, value] : headers.fields()) {
    if (!http::equal_ignoring_case(name, "Connection")) continue;
    for (std::size_t begin = 0; begin <= value.size();) {
      const std::size_t end = std::min(value.find(',', begin), value.size());
      std::string item = value.substr(begin, end - begin);
      item.erase(0, item.find_first_not_of(" \t"));
      item.erase(item.find_last_not_of(" \t") + 1);
      if (!item.empty()) names.push_back(std::move(item));
      begin = end + 1;
    }
  }
  return names;
}

template <class Drop>
http::Headers filtered(const http::Headers& headers, Drop drop) {
  const std::vector<std::string> listed = listed_by_connection(headers);
  http::Headers kept;
  for (const auto& [name, value] : headers.fields()) {
    const auto is_name = [&](std::string_view other) { return http::equal_ignoring_case(name, other); };
    if (std::any_of(kHopByHop.begin(), kHopByHop.end(), is_name) || std::any_of(listed.begin(), listed.end(), is_name)) continue;
    if (http::equal_ignoring_case(std::string_view(name).substr(0, kInternalPrefix.size()), kInternalPrefix) || drop(is_name)) continue;
    kept.add(name, value);
  }
  return kept;
}

}  // namespace

http::Headers headers_for_upstream(const http::Headers& from_client) {
  return filtered(from_client, [](const auto& is_name) {
    return is_name("Host") || is_name("Expect") || is_name("Accept-Encoding") || is_name("X-Expert-Access-Token");
  });
}

http::Headers headers_for_client(const http::Headers& from_upstream) {
  return filtered(from_upstream, [](const auto& is_name) { return is_name("Date") || is_name("Server"); });
}

}  // namespace flexpert::gateway
