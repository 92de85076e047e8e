#include "crypto/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

#include "crypto/digest.h"

namespace flexpert::crypto {
namespace {

constexpr unsigned char kProtocols[] = "\x08http/1.1";

std::string last_error() {
  char text[256] = "unknown error";
  // The first error is the cause; those behind it are its consequences.
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

int no_passphrase(char*, int, int, void*) { return 0; }

/// Takes http/1.1 out of what the client offers; a client that offers only other protocols is refused (RFC 7301, 3.2).
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned int offered_size,
                    void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kProtocols, sizeof kProtocols - 1, offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

void set_common(SSL_CTX* context, TlsVersion least) {
  SSL_CTX_set_min_proto_version(context, least == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_security_level(context, 2);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_read_ahead(context, 1);
  // Idle connections give their buffers back; a write that could not go out may be repeated from elsewhere in memory.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

std::int64_t end_of(const X509* certificate) {
  std::tm when{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &when) != 1) return 0;
  return static_cast<std::int64_t>(::timegm(&when));
}

/// What is in both files, as a digest; empty if one cannot be read.
std::string digest_of(const TlsServerOptions& options) {
  std::string all;
  for (const std::string& path : {options.certificate_file, options.key_file}) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return {};
    std::ostringstream text;
    text << file.rdbuf();
    all += sha256_hex(text.str());
  }
  return sha256_hex(all);
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(static_cast<SSL_CTX*>(ssl_ctx_)); }

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsServerOptions& options) {
  ERR_clear_error();
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) return fail(ErrorCode::kInternal, "no TLS context: {}", last_error());
  std::shared_ptr<TlsContext> made(new TlsContext(context));
  set_common(context, options.least_version);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_default_passwd_cb(context, &no_passphrase);
  SSL_CTX_set_alpn_select_cb(context, &choose_protocol, nullptr);
  // Sessions are resumed by tickets, which the clients keep; nothing of them is kept here.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  constexpr unsigned char kSessionIds[] = "flexpert";
  SSL_CTX_set_session_id_context(context, kSessionIds, sizeof kSessionIds - 1);
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1)
    return fail(ErrorCode::kInvalidArgument, "certificate_file: not a chain of certificates in PEM: {}: {}", options.certificate_file,
                last_error());
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return fail(ErrorCode::kInvalidArgument, "key_file: not the certificate's private key in PEM without a passphrase: {}: {}",
                options.key_file, last_error());
  if (SSL_CTX_check_private_key(context) != 1)
    return fail(ErrorCode::kInvalidArgument, "key_file: not the key of certificate_file: {}: {}", options.key_file, last_error());
  made->certificate_ends_unix_s_ = end_of(SSL_CTX_get0_certificate(context));
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsClientOptions& options) {
  ERR_clear_error();
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) return fail(ErrorCode::kInternal, "no TLS context: {}", last_error());
  std::shared_ptr<TlsContext> made(new TlsContext(context));
  set_common(context, options.least_version);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context, kProtocols, sizeof kProtocols - 1);
  if (options.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1)
      return fail(ErrorCode::kInvalidArgument, "the system has no store of certificate authorities: {}", last_error());
  } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return fail(ErrorCode::kInvalidArgument, "ca_file: no certificates in PEM: {}: {}", options.ca_file, last_error());
  }
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Result<std::shared_ptr<TlsServer>> TlsServer::create(TlsServerOptions options) {
  std::string digest = digest_of(options);
  FLEXPERT_ASSIGN(auto context, TlsContext::server(options));
  return std::shared_ptr<TlsServer>(new TlsServer(std::move(options), std::move(context), std::move(digest)));
}

Result<void> TlsServer::reload() {
  std::string digest = digest_of(options_);
  FLEXPERT_ASSIGN(current_, TlsContext::server(options_));
  digest_ = std::move(digest);
  return {};
}

Result<bool> TlsServer::reload_if_changed() {
  if (digest_of(options_) == digest_) return false;
  FLEXPERT_TRY(reload());
  return true;
}

}  // namespace flexpert::crypto
