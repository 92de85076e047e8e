#pragma once

#include <map>
#include <memory>
#include <set>
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

/// Whom the gateway trusts to be an upstream: the authorities of its `ca_file`, or those of the system; and the name in its URL.
class UpstreamTrust {
 public:
  /// Returns how to connect to `server`: nothing but an empty context for one over plain HTTP. Errors: an unusable `ca_file`.
  Result<http::ClientTls> of(const ModelServer& server);
  /// Reads every file again, for connections from now on, and logs what came of it. One that cannot be used changes nothing. Returns those
  /// that say something else than before.
  std::set<std::string> renew();

 private:
  struct Known {
    std::shared_ptr<const crypto::TlsContext> context;
    std::string digest;  ///< of the file's bytes
  };
  std::map<std::string, Known> known_;  ///< by file; "" is the system
};

}  // namespace flexpert::gateway
