#include "crypto/tls_session.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace flexpert::crypto {
namespace {

/// OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE. The descriptor is kept in the BIO's data, one off so that
/// a null is none.
int fd_of(BIO* bio) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)) - 1); }

int send_bytes(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::send(fd_of(bio), from, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

int receive_bytes(BIO* bio, char* to, int room) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(fd_of(bio), to, static_cast<std::size_t>(room), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(count);
}

long control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    default: return 0;
  }
}

BIO_METHOD* make_method() {
  BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "non-blocking socket");
  FLEXPERT_CHECK(method != nullptr, "OpenSSL has no memory for a BIO method");
  BIO_meth_set_write(method, &send_bytes);
  BIO_meth_set_read(method, &receive_bytes);
  BIO_meth_set_ctrl(method, &control);
  return method;
}

SSL* make_session(void* context, int fd) {
  static BIO_METHOD* const method = make_method();
  SSL* const ssl = SSL_new(static_cast<SSL_CTX*>(context));
  BIO* const bio = BIO_new(method);
  FLEXPERT_CHECK(ssl != nullptr && bio != nullptr, "OpenSSL has no memory for a TLS session");
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd) + 1));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  return ssl;
}

bool is_ip_address(const std::string& host) {
  unsigned char address[16];
  return ::inet_pton(AF_INET, host.c_str(), address) == 1 || ::inet_pton(AF_INET6, host.c_str(), address) == 1;
}

SSL* get(void* ssl) { return static_cast<SSL*>(ssl); }

}  // namespace

TlsSession::TlsSession(const TlsContext& server, int fd) : ssl_(make_session(server.ssl_ctx_, fd)) { SSL_set_accept_state(get(ssl_)); }

TlsSession::TlsSession(const TlsContext& client, int fd, const std::string& host) : ssl_(make_session(client.ssl_ctx_, fd)) {
  SSL_set_connect_state(get(ssl_));
  SSL_set_hostflags(get(ssl_), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  bool named = false;
  if (is_ip_address(host)) {
    named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(get(ssl_)), host.c_str()) == 1;
  } else if (!host.empty() && SSL_set1_host(get(ssl_), host.c_str()) == 1) {
    named = SSL_set_tlsext_host_name(get(ssl_), host.c_str()) == 1;
  }
  if (named) return;
  // A session without a name to compare would take anybody's certificate.
  failed_ = true;
  error_ = "no host name to compare the certificate with";
}

TlsSession::TlsSession(TlsSession&& other) noexcept
    : ssl_(std::exchange(other.ssl_, nullptr)),
      handshake_done_(other.handshake_done_),
      failed_(other.failed_),
      error_(std::move(other.error_)) {}

TlsSession::~TlsSession() { SSL_free(get(ssl_)); }

TlsSession::Outcome TlsSession::outcome_of(int result, bool reading) {
  const int system_error = errno;
  const int kind = SSL_get_error(get(ssl_), result);
  if (kind == SSL_ERROR_WANT_READ) return Outcome::kWantRead;
  if (kind == SSL_ERROR_WANT_WRITE) return Outcome::kWantWrite;
  if (kind == SSL_ERROR_ZERO_RETURN && reading) return Outcome::kEnded;
  failed_ = true;
  const unsigned long code = ERR_peek_error();
  const bool truncated = (code == 0 && kind == SSL_ERROR_SYSCALL && result == 0) ||
                         (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  if (truncated) {
    error_ = handshake_done_ ? "the TLS connection ended without close_notify" : "the connection ended inside the TLS handshake";
  } else if (const long verdict = SSL_get_verify_result(get(ssl_)); !handshake_done_ && verdict != X509_V_OK) {
    error_ = fmt::format("the peer's certificate was refused: {}", X509_verify_cert_error_string(verdict));
  } else {
    error_ = fmt::format("TLS failed: {}", reason != nullptr ? reason : std::strerror(system_error));
  }
  ERR_clear_error();
  return Outcome::kFailed;
}

TlsSession::Outcome TlsSession::handshake() {
  if (failed_) return Outcome::kFailed;
  ERR_clear_error();
  errno = 0;
  if (const int result = SSL_do_handshake(get(ssl_)); result != 1) return outcome_of(result, false);
  handshake_done_ = true;
  return Outcome::kDone;
}

TlsSession::Outcome TlsSession::read(char* to, std::size_t room, std::size_t& bytes) {
  bytes = 0;
  if (failed_) return Outcome::kFailed;
  ERR_clear_error();
  errno = 0;
  if (const int result = SSL_read_ex(get(ssl_), to, room, &bytes); result != 1) return outcome_of(result, true);
  return Outcome::kDone;
}

TlsSession::Outcome TlsSession::write(const char* from, std::size_t size, std::size_t& bytes) {
  bytes = 0;
  if (failed_) return Outcome::kFailed;
  if (size == 0) return Outcome::kDone;
  ERR_clear_error();
  errno = 0;
  if (const int result = SSL_write_ex(get(ssl_), from, size, &bytes); result != 1) return outcome_of(result, false);
  return Outcome::kDone;
}

void TlsSession::send_close_notify() {
  if (failed_ || !handshake_done_) return;
  ERR_clear_error();
  SSL_shutdown(get(ssl_));
  ERR_clear_error();
}

std::string_view TlsSession::version() const { return SSL_get_version(get(ssl_)); }

std::string_view TlsSession::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(get(ssl_), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsSession::resumed() const { return SSL_session_reused(get(ssl_)) == 1; }

}  // namespace flexpert::crypto
