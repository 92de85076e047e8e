#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

/// What TLS connections have in common (RFC 8446, RFC 5246): certificates, trust, versions. TLS 1.2 with forward secrecy and
/// authenticated encryption only, and TLS 1.3; no renegotiation, no compression; ALPN is http/1.1.
namespace flexpert::crypto {

enum class TlsVersion : std::uint8_t { k12, k13 };

struct TlsServerOptions {
  std::string certificate_file;  ///< PEM: the server's certificate, then those between it and the root
  std::string key_file;          ///< PEM, without a passphrase
  TlsVersion least_version = TlsVersion::k12;
};

struct TlsClientOptions {
  std::string ca_file{};         ///< PEM of the authorities that are trusted; empty: those of the system
  TlsVersion least_version = TlsVersion::k12;
};

/// Immutable; safe from any thread. Sessions keep what they need of it.
class TlsContext {
 public:
  /// Errors: kInvalidArgument that names the file: missing, no PEM, an encrypted key, a key that is not the certificate's.
  static Result<std::shared_ptr<const TlsContext>> server(const TlsServerOptions& options);
  /// Connections made with it verify the server's certificate and name. Errors: kInvalidArgument that names the file.
  static Result<std::shared_ptr<const TlsContext>> client(const TlsClientOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Returns when the server's certificate ends, in seconds since 1970; 0 for clients.
  [[nodiscard]] std::int64_t certificate_ends_unix_s() const { return certificate_ends_unix_s_; }

 private:
  friend class TlsSession;
  explicit TlsContext(void* ssl_ctx) : ssl_ctx_(ssl_ctx) {}
  void* ssl_ctx_;  ///< SSL_CTX
  std::int64_t certificate_ends_unix_s_ = 0;
};

/// A server's certificate that can change while connections are open: each connection keeps the one that it began with. Belongs
/// to one thread.
class TlsServer {
 public:
  /// Errors: as TlsContext::server().
  static Result<std::shared_ptr<TlsServer>> create(TlsServerOptions options);

  [[nodiscard]] const TlsContext& current() const { return *current_; }
  /// Reads the files again, whether they changed or not. On an error what is there stays.
  Result<void> reload();
  /// The same if what is in the files is not what was read last. Returns whether anything changed.
  Result<bool> reload_if_changed();

 private:
  TlsServer(TlsServerOptions options, std::shared_ptr<const TlsContext> current, std::string digest)
      : options_(std::move(options)), current_(std::move(current)), digest_(std::move(digest)) {}
  TlsServerOptions options_;
  std::shared_ptr<const TlsContext> current_;
  std::string digest_;  ///< of the files' bytes
};

}  // namespace flexpert::crypto
