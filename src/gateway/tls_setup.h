#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/gateway_options.h"
#include "crypto/tls_context.h"
#include "gateway/model_server.h"
#include "http/client_tls.h"

/// TLS as the configuration wants it, towards clients and towards upstreams.
namespace flexpert::gateway {

/// Reads the certificate of `gateway.tls`; null where there is none. Errors: what is wrong with which file.
Result<std::shared_ptr<crypto::TlsServer>> listener_tls(const config::ListenersConfig& listeners);

/// Reads a certificate again, for connections from now on, and logs what came of it. One that cannot be used changes nothing.
void renew_certificate(crypto::TlsServer& tls);

/// Whom the gateway trusts to be an upstream: the authorities of its `ca_file`, read once, or those of the system; and the name in its URL.
class UpstreamTrust {
 public:
  /// Returns how to connect to `server`: nothing but an empty context for one over plain HTTP. Errors: an unusable `ca_file`.
  Result<http::ClientTls> of(const ModelServer& server);

 private:
  std::map<std::string, std::shared_ptr<const crypto::TlsContext>> contexts_;  ///< by file
};

}  // namespace flexpert::gateway
