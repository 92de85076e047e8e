#include "gateway/tls_setup.h"

#include <ctime>

#include "base/log.h"
#include "config/file_bytes.h"
#include "crypto/digest.h"

namespace flexpert::gateway {
namespace {

/// "HOST:PORT" and "[IPV6]:PORT" without port and brackets.
std::string host_of(const std::string& authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.rfind(':'));
}

/// What tells one state of a file from another; empty for none that can be read.
std::string digest_of(const std::string& file) {
  const auto bytes = config::read_file_bytes(file);
  return bytes ? crypto::sha256_hex(*bytes) : std::string();
}

std::string day_of(std::int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

}  // namespace

Result<std::shared_ptr<crypto::TlsServer>> listener_tls(const config::ListenersConfig& listeners) {
  if (!listeners.tls) return std::shared_ptr<crypto::TlsServer>();
  const config::TlsFiles& files = *listeners.tls;
  auto made = crypto::TlsServer::create({.certificate_file = files.certificate_file,
                                         .key_file = files.key_file,
                                         .least_version = files.min_version == "1.3" ? crypto::TlsVersion::k13 : crypto::TlsVersion::k12});
  if (!made) return fail(made.error().with_context("gateway.tls"));
  log::info("TLS with a certificate until {}", day_of((*made)->current().certificate_ends_unix_s()));
  return std::move(*made);
}

void renew_certificate(crypto::TlsServer& tls) {
  const auto changed = tls.reload_if_changed();
  if (!changed) return log::error("gateway.tls: the certificate read before stays: {}", changed.error().message);
  if (*changed) log::info("TLS for new connections with a certificate until {}", day_of(tls.current().certificate_ends_unix_s()));
}

Result<http::ClientTls> UpstreamTrust::of(const ModelServer& server) {
  if (!server.tls) return http::ClientTls{};
  Known& known = known_[server.ca_file];
  if (known.context == nullptr) {
    known.digest = digest_of(server.ca_file);
    auto made = crypto::TlsContext::client({.ca_file = server.ca_file});
    if (!made) return fail(made.error().with_context(fmt::format("upstream {}", server.id)));
    known.context = std::move(*made);
  }
  return http::ClientTls{.context = known.context, .host = host_of(server.host.empty() ? server.address.to_string() : server.host)};
}

std::set<std::string> UpstreamTrust::renew() {
  std::set<std::string> changed;
  for (auto& [file, known] : known_) {
    std::string digest = digest_of(file);
    if (file.empty() || digest == known.digest) continue;
    auto made = crypto::TlsContext::client({.ca_file = file});
    if (!made) {
      log::error("upstreams: the authorities read before stay: {}", made.error().message);
      continue;
    }
    log::info("upstreams: new authorities for new connections: {}", file);
    known = {std::move(*made), std::move(digest)};
    changed.insert(file);
  }
  return changed;
}

}  // namespace flexpert::gateway
