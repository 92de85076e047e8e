#include "config/gateway_reader.h"

#include <algorithm>

#include "config/each_item.h"
#include "config/upstream_reader.h"

namespace flexpert::config {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr const char* kAddressForm = "HOST:PORT, [IPV6]:PORT, *:PORT or unix:PATH (at most 107 bytes)";

/// As SectionReader::address(), and "none" for no listener.
void optional_address(SectionReader& section, std::string_view key, std::string& out) {
  const YamlNode* node = section.value(key);
  if (node != nullptr && node->kind == YamlNode::Kind::kScalar && node->text == "none") return out.clear();
  section.address(key, out);
}

void read_listeners(SectionReader& gateway, ProblemList& problems, ListenersConfig& out) {
  each_item(gateway, problems, "also_listen", "addresses", [&](const YamlNode& item, const std::string& path) {
    std::string address;
    if (!read_text(item, path, problems, address)) return;
    if (!is_address(address)) return problems.add(item.line, path, fmt::format("{} is given", item.describe()), kAddressForm);
    out.also.push_back(std::move(address));
  });
  optional_address(gateway, "metrics_listen", out.metrics);
  optional_address(gateway, "admin_listen", out.admin);
  const YamlNode* node = gateway.value("tls");
  if (node == nullptr) return;
  TlsFiles tls;
  SectionReader section(*node, gateway.path_of("tls"), problems);
  section.text("certificate_file", tls.certificate_file);
  section.text("key_file", tls.key_file);
  section.choice("min_version", {"1.2", "1.3"}, tls.min_version);
  section.require("certificate_file", "a PEM file: the server's certificate, then those between it and its root");
  section.require("key_file", "a PEM file with the certificate's private key");
  section.finish();
  out.tls = std::move(tls);
}

void read_limits(SectionReader& gateway, ProblemList& problems, EdgeLimitsConfig& out) {
  const YamlNode* node = gateway.value("limits");
  if (node == nullptr) return;
  SectionReader section(*node, gateway.path_of("limits"), problems);
  section.number("head_timeout_s", {0.1, 3600}, out.head_timeout_s);
  section.number("body_idle_timeout_s", {0.1, 3600}, out.body_idle_timeout_s);
  section.bytes("min_body_bytes_per_s", 0, kGiB, out.min_body_bytes_per_s);
  section.number("idle_timeout_s", {0.1, 86400}, out.idle_timeout_s);
  section.number("write_timeout_s", {0.1, 86400}, out.write_timeout_s);
  section.bytes("max_head_bytes", 1024, 1 << 20, out.max_head_bytes);
  section.count("max_connections", 1, 1'000'000, out.max_connections);
  section.count("max_connections_per_peer", 0, 1'000'000, out.max_connections_per_peer);
  section.number("heartbeat_s", {0, 3600}, out.heartbeat_s);
  section.finish();
}

void read_cache(SectionReader& gateway, ProblemList& problems, CacheConfig& out) {
  const YamlNode* node = gateway.value("cache");
  if (node == nullptr) return;
  SectionReader section(*node, gateway.path_of("cache"), problems);
  section.boolean("enabled", out.enabled);
  section.bytes("max_bytes", 1024, 1024 * kGiB, out.max_bytes);
  section.number("ttl_s", {0, 31'536'000, true}, out.ttl_s);
  section.bytes("max_entry_bytes", 1024, kGiB, out.max_entry_bytes);
  section.boolean("share_in_flight", out.share_in_flight);
  section.finish();
  if (out.max_entry_bytes > out.max_bytes)
    section.problem("max_entry_bytes", fmt::format("{} is over max_bytes, which is {}", out.max_entry_bytes, out.max_bytes),
                    "bytes up to max_bytes");
}

void read_log(SectionReader& gateway, ProblemList& problems, GatewayLogConfig& out) {
  const YamlNode* node = gateway.value("log");
  if (node == nullptr) return;
  SectionReader section(*node, gateway.path_of("log"), problems);
  section.text("access", out.access);
  section.text("audit", out.audit);
  section.text("otlp_url", out.otlp_url);
  section.number("otlp_sample", {0, 1}, out.otlp_sample);
  section.finish();
  if (!out.otlp_url.empty() && !is_http_url(out.otlp_url))
    section.problem("otlp_url", "this is no address of a collector", "http://HOST:PORT or https://HOST:PORT, with a path or without");
}

}  // namespace

bool is_http_url(std::string_view text) {
  const std::size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  if (scheme == 0) return false;
  text.remove_prefix(scheme);
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view path = text.substr(slash);
  std::string host_port(text.substr(0, slash));
  if (host_port.find(':', host_port.rfind(']') + 1) == std::string::npos) host_port += ":0";
  const bool callable = is_address(host_port) && host_port.front() != '*' && !host_port.starts_with("unix:");
  return callable && (path.empty() || is_request_path(path));
}

void read_gateway(SectionReader& file, ProblemList& problems, GatewayConfig& out) {
  const YamlNode* node = file.value("gateway");
  if (node == nullptr) return;
  SectionReader section(*node, "gateway", problems);
  section.address("listen", out.listen);
  section.bytes("max_body_bytes", 1024, kGiB, out.max_body_bytes);
  section.number("health_interval_s", {0.05, 3600}, out.health_interval_s);
  section.number("upstream_timeout_s", {0.1, 86400}, out.upstream_timeout_s);
  section.number("hold_s", {0, 86400}, out.hold_s);
  section.address("controller", out.controller);
  read_listeners(section, problems, out.listeners);
  read_limits(section, problems, out.edge);
  read_admission(section, problems, out.admission);
  read_cache(section, problems, out.cache);
  read_routing(section, problems, out);
  read_log(section, problems, out.log);
  section.finish();
}

}  // namespace flexpert::config
