#include "gateway/route_table.h"

#include "codec/openai_paths.h"

namespace flexpert::gateway {
namespace {

constexpr std::string_view kOneModelPrefix = "/v1/models/";
constexpr std::string_view kAdminPrefix = "/admin/";

bool matches(const RouteEntry& entry, std::string_view path) {
  switch (entry.endpoint) {
    case Endpoint::kOneModel: return path.starts_with(kOneModelPrefix) && codec::model_of_path(path).has_value();
    case Endpoint::kAdmin: return path.starts_with(kAdminPrefix) && path.size() > kAdminPrefix.size();
    default: return path == entry.path;
  }
}

}  // namespace

const RouteEntry* find_route(Listener listener, std::string_view path) {
  for (const RouteEntry& entry : kRouteTable)
    if (entry.listener == listener && matches(entry, path)) return &entry;
  return nullptr;
}

bool takes(const RouteEntry& entry, std::string_view method) {
  std::string_view rest = entry.methods;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    if (rest.substr(0, comma) == method) return true;
    if (comma == std::string_view::npos) return false;
    rest.remove_prefix(comma + 2);
  }
  return false;
}

}  // namespace flexpert::gateway
