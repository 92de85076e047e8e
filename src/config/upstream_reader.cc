#include "config/upstream_reader.h"

#include <algorithm>

namespace flexpert::config {
namespace {

constexpr const char* kUrlForm = "http://HOST:PORT or https://HOST:PORT, without a path (the gateway adds /v1/...)";

/// Splits off the scheme; empty if it is none of ours.
std::string_view scheme_of(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (url.starts_with(scheme)) return scheme;
  return {};
}

}  // namespace

bool is_request_path(std::string_view text) {
  return text.starts_with('/') && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

void read_upstream(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<UpstreamConfig>& out) {
  UpstreamConfig upstream;
  SectionReader section(node, path, problems);
  section.text("name", upstream.name);
  section.texts("models", upstream.models);
  section.text("health_path", upstream.health_path);
  section.text("ca_file", upstream.ca_file);
  section.text("api_key_file", upstream.api_key_file);
  section.boolean("flexpert", upstream.flexpert);
  section.number("weight", {0, 1e6, true}, upstream.weight);
  section.number("cost", {0, 1e6, true}, upstream.cost);
  section.amount("capacity_tokens", 0, 1'000'000'000'000, upstream.capacity_tokens);
  std::string url;
  section.text("url", url);
  section.require("url", "http://HOST:PORT or https://HOST:PORT");
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  if (!is_request_path(upstream.health_path))
    section.problem("health_path", fmt::format("\"{}\" is given", upstream.health_path), "a path that begins with / and has no blanks");
  while (url.ends_with('/')) url.pop_back();
  const std::string_view scheme = scheme_of(url);
  std::string host_port = url.substr(scheme.size());
  if (!scheme.empty() && host_port.find(':', host_port.rfind(']') + 1) == std::string::npos)
    host_port += scheme == "https://" ? ":443" : ":80";  // as in any URL
  if (!url.empty() && (scheme.empty() || !is_address(host_port) || host_port.starts_with("unix:") || host_port.front() == '*')) {
    section.problem("url", fmt::format("{} is given", section.value("url")->describe()), kUrlForm);
  } else if (!upstream.ca_file.empty() && scheme == "http://") {
    section.problem("ca_file", "certificates are given for an url without TLS", "an url that begins with https://");
  }
  upstream.url = std::string(scheme) + host_port;
  if (upstream.name.empty()) upstream.name = host_port;
  for (const UpstreamConfig& other : out)
    if (other.name == upstream.name && !upstream.name.empty())
      section.problem("name", fmt::format("an upstream {} is already given", upstream.name), "each name once");
  out.push_back(std::move(upstream));
}

}  // namespace flexpert::config
