#include "gateway/engine_registration_body.h"

#include <algorithm>
#include <cmath>

#include <boost/json.hpp>

namespace flexpert::gateway {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestBody = 64 * 1024;
constexpr std::size_t kLongestUrl = 300;
constexpr std::size_t kMostModels = 64;
constexpr std::size_t kLongestModel = 256;
constexpr double kLeastWeight = 0.01;
constexpr double kMostWeight = 100;

std::unexpected<Error> bad(std::string_view member, std::string_view what) {
  return fail(ErrorCode::kInvalidArgument, "{}: {}", member, what);
}

Result<void> read_url(const json::value& value, RegistrationBody& out) {
  constexpr std::string_view kHttp = "http://";
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kMustBe = "must be http://HOST:PORT or https://HOST:PORT, without a path, a user and a query";
  if (!value.is_string()) return bad("url", kMustBe);
  std::string_view url(value.get_string());
  if (url.ends_with('/')) url.remove_suffix(1);
  out.tls = url.starts_with(kHttps);
  if (url.size() > kLongestUrl || (!out.tls && !url.starts_with(kHttp))) return bad("url", kMustBe);
  const std::string_view authority = url.substr(out.tls ? kHttps.size() : kHttp.size());
  if (authority.find_first_of("/?#@\\% \t\r\n*") != std::string_view::npos || authority.starts_with("unix:")) return bad("url", kMustBe);
  const bool has_port = authority.rfind(':') != std::string_view::npos && authority.back() != ']';
  auto address = net::Address::parse(has_port ? std::string(authority) : fmt::format("{}:{}", authority, out.tls ? 443 : 80));
  if (!address || address->port == 0) return bad("url", kMustBe);
  if (address->needs_lookup()) {
    // Resolvers read names like "0x7f.1" and "2130706433" as addresses: whoever means an address writes it as one.
    const std::string& name = address->host_or_path;
    const std::size_t label = name.find_last_not_of('.') == std::string::npos ? 0 : name.find_last_of('.', name.find_last_not_of('.')) + 1;
    if (label >= name.size() || (name[label] >= '0' && name[label] <= '9')) return bad("url", kMustBe);
  }
  if (address->host_or_path == "localhost") address->host_or_path = "127.0.0.1";
  out.url = url;
  out.address = std::move(*address);
  return {};
}

Result<void> read_models(const json::value& value, RegistrationBody& out) {
  if (!value.is_array() || value.get_array().size() > kMostModels) return bad("models", "must be a list of at most 64 names");
  for (const json::value& model : value.get_array()) {
    if (!model.is_string() || model.get_string().empty() || model.get_string().size() > kLongestModel)
      return bad("models", "each must be a text of 1 to 256 bytes");
    std::string name(model.get_string());
    if (std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
      return bad("models", "no control characters are allowed");
    if (name.find('*') != std::string::npos) return bad("models", "each must be a model's name, without *");
    if (std::find(out.models.begin(), out.models.end(), name) == out.models.end()) out.models.push_back(std::move(name));
  }
  return {};
}

Result<void> read_weight(const json::value& value, RegistrationBody& out) {
  boost::system::error_code error;
  out.weight = value.is_number() ? value.to_number<double>(error) : 0;
  if (error || !(out.weight >= kLeastWeight && out.weight <= kMostWeight)) return bad("weight", "must be a number from 0.01 to 100");
  return {};
}

}  // namespace

Result<RegistrationBody> parse_registration(std::string_view body, bool url_only) {
  if (body.size() > kLongestBody) return bad("body", "must have at most 64 KiB");
  json::parse_options options;
  options.max_depth = 4;
  boost::system::error_code error;
  const json::value root = json::parse(body, error, {}, options);
  if (error || !root.is_object()) return bad("body", "must be a JSON object");
  RegistrationBody parsed;
  for (const auto& [key, value] : root.get_object()) {
    if (key == "url") FLEXPERT_TRY(read_url(value, parsed));
    else if (key == "models" && !url_only) FLEXPERT_TRY(read_models(value, parsed));
    else if (key == "weight" && !url_only) FLEXPERT_TRY(read_weight(value, parsed));
    else return fail(ErrorCode::kInvalidArgument, "unknown member '{}'; allowed: url{}", std::string_view(key).substr(0, 64),
                     url_only ? "" : ", models, weight");
  }
  if (parsed.url.empty()) return bad("url", "is required");
  return parsed;
}

}  // namespace flexpert::gateway
