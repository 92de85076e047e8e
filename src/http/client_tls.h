#pragma once

#include <memory>
#include <string>

#include "crypto/tls_context.h"

namespace flexpert::http {

/// How a server is spoken to: over TLS if there is a context, and then only if its certificate is for `host`.
struct ClientTls {
  std::shared_ptr<const crypto::TlsContext> context{};
  std::string host{};
};

}  // namespace flexpert::http
