#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>

#include "crypto/tests/test_certificates.h"
#include "crypto/tls_context.h"
#include "crypto/tls_session.h"

namespace flexpert::crypto {
namespace {

using Outcome = TlsSession::Outcome;

/// Two ends of a connection, an authority, and a server's certificate from it.
class TlsWorld : public ::testing::Test {
 protected:
  TlsWorld() { ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()); }
  ~TlsWorld() override {
    for (const int fd : fds)
      if (fd >= 0) ::close(fd);
  }
  TlsServerOptions files(const TestCertificate& certificate, TlsVersion least = TlsVersion::k12) {
    return {.certificate_file = folder.write("cert.pem", certificate.certificate_pem()),
            .key_file = folder.write("key.pem", certificate.key_pem()),
            .least_version = least};
  }
  std::shared_ptr<const TlsContext> server(const TestCertificate& certificate, TlsVersion least = TlsVersion::k12) {
    return *TlsContext::server(files(certificate, least));
  }
  std::shared_ptr<const TlsContext> client(TlsVersion least = TlsVersion::k12) {
    return *TlsContext::client({.ca_file = folder.write("ca.pem", authority.certificate_pem()), .least_version = least});
  }
  /// Goes on with both until both are done or one failed.
  void shake(TlsSession& a, TlsSession& b) {
    for (int turn = 0; turn < 50; ++turn) {
      const Outcome one = a.handshake();
      const Outcome two = b.handshake();
      if (one == Outcome::kFailed || two == Outcome::kFailed || (a.handshake_done() && b.handshake_done())) return;
    }
  }
  /// The client's error after a handshake with `host`, empty if it succeeds.
  std::string client_error(const TestCertificate& certificate, const std::string& host) {
    const auto server_context = server(certificate);
    const auto client_context = client();
    TlsSession there(*server_context, fds[0]);
    TlsSession here(*client_context, fds[1], host);
    shake(here, there);
    return here.handshake_done() ? "" : here.error();
  }
  std::string read_all(TlsSession& session, Outcome& last) {
    std::string all;
    std::array<char, 4096> piece{};
    std::size_t bytes = 0;
    while ((last = session.read(piece.data(), piece.size(), bytes)) == Outcome::kDone) all.append(piece.data(), bytes);
    return all;
  }

  TestFolder folder;
  TestCertificate authority = make_certificate("");
  TestCertificate good = make_certificate("DNS:localhost,DNS:*.example.org,IP:127.0.0.1,IP:::1", &authority);
  std::array<int, 2> fds{-1, -1};
};

TEST_F(TlsWorld, CarriesBytesBothWays) {
  const auto server_context = server(good);
  const auto client_context = client();
  TlsSession there(*server_context, fds[0]);
  TlsSession here(*client_context, fds[1], "localhost");
  shake(here, there);
  ASSERT_TRUE(here.handshake_done() && there.handshake_done()) << here.error() << there.error();
  EXPECT_EQ(here.version(), "TLSv1.3");
  EXPECT_EQ(here.protocol(), "http/1.1");
  EXPECT_EQ(there.protocol(), "http/1.1");
  std::size_t sent = 0;
  Outcome last{};
  EXPECT_EQ(here.write("hello", 5, sent), Outcome::kDone);
  EXPECT_EQ(sent, 5U);
  EXPECT_EQ(read_all(there, last), "hello");
  EXPECT_EQ(last, Outcome::kWantRead);
  EXPECT_EQ(there.write("good day", 8, sent), Outcome::kDone);
  EXPECT_EQ(read_all(here, last), "good day");
  there.send_close_notify();
  EXPECT_EQ(read_all(here, last), "");
  EXPECT_EQ(last, Outcome::kEnded);
}

TEST_F(TlsWorld, KeepsWhatTheSocketDoesNotTakeForTheNextCall) {
  const auto server_context = server(good);
  const auto client_context = client();
  TlsSession there(*server_context, fds[0]);
  TlsSession here(*client_context, fds[1], "127.0.0.1");
  shake(here, there);
  std::string all;
  for (int i = 0; i < 400'000; ++i) all += static_cast<char>('a' + i % 26);
  std::string got;
  std::size_t done = 0;
  Outcome last = Outcome::kWantRead;
  bool blocked = false;
  for (int turn = 0; turn < 10'000 && got.size() < all.size(); ++turn) {
    std::size_t sent = 0;
    // Each time from another place in memory.
    const std::string rest = all.substr(done);
    const Outcome outcome = here.write(rest.data(), rest.size(), sent);
    done += sent;
    if (outcome == Outcome::kWantWrite) {
      blocked = true;
      got += read_all(there, last);
    } else if (done == all.size()) {
      got += read_all(there, last);
    }
  }
  EXPECT_TRUE(blocked);
  EXPECT_TRUE(got == all);
}

TEST_F(TlsWorld, TellsATruncatedConnectionFromOneThatEnded) {
  const auto server_context = server(good);
  const auto client_context = client();
  TlsSession there(*server_context, fds[0]);
  TlsSession here(*client_context, fds[1], "localhost");
  shake(here, there);
  std::size_t sent = 0;
  ASSERT_EQ(there.write("part", 4, sent), Outcome::kDone);
  ::close(std::exchange(fds[0], -1));
  Outcome last{};
  EXPECT_EQ(read_all(here, last), "part");
  EXPECT_EQ(last, Outcome::kFailed);
  EXPECT_EQ(here.error(), "the TLS connection ended without close_notify");
  EXPECT_EQ(here.write("more", 4, sent), Outcome::kFailed);
}

TEST_F(TlsWorld, TakesTheRightNamesOnly) {
  for (const char* host : {"localhost", "127.0.0.1", "::1", "a.example.org"}) {
    std::array<int, 2> again{-1, -1};
    ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, again.data());
    for (int i = 0; i < 2; ++i) ::close(std::exchange(fds[i], again[i]));
    EXPECT_EQ(client_error(good, host), "") << host;
  }
  for (const char* host : {"example.org", "a.b.example.org", "other", "127.0.0.2"}) {
    std::array<int, 2> again{-1, -1};
    ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, again.data());
    for (int i = 0; i < 2; ++i) ::close(std::exchange(fds[i], again[i]));
    EXPECT_NE(client_error(good, host).find("the peer's certificate was refused"), std::string::npos) << host;
  }
  const auto context = client();
  EXPECT_EQ(TlsSession(*context, fds[1], "").handshake(), Outcome::kFailed) << "no name, nobody is trusted";
}

TEST_F(TlsWorld, RefusesACertificateThatIsOver) {
  EXPECT_EQ(client_error(make_certificate("DNS:localhost", &authority, -60), "localhost"),
            "the peer's certificate was refused: certificate has expired");
}

TEST_F(TlsWorld, RefusesACertificateOfAnUnknownAuthority) {
  const TestCertificate stranger = make_certificate("");
  const std::string error = client_error(make_certificate("DNS:localhost", &stranger), "localhost");
  EXPECT_TRUE(error.starts_with("the peer's certificate was refused: unable to get local issuer")) << error;
}

TEST_F(TlsWorld, RefusesACertificateThatSignedItself) {
  const std::string error = client_error(make_certificate("DNS:localhost"), "localhost");
  EXPECT_TRUE(error.starts_with("the peer's certificate was refused: self-signed")) << error;
}

/// A peer of OpenSSL's own with other settings than ours.
class OtherClient {
 public:
  OtherClient(int fd, int version, const char* ciphers = nullptr) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_, version);
    if (ciphers != nullptr) SSL_CTX_set_cipher_list(context_, ciphers);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd);
    SSL_set_connect_state(ssl_);
  }
  ~OtherClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  bool shake_with(TlsSession& server) {
    for (int turn = 0; turn < 50; ++turn) {
      SSL_do_handshake(ssl_);
      if (server.handshake() == Outcome::kFailed) return false;
      if (server.handshake_done() && SSL_is_init_finished(ssl_) == 1) return true;
    }
    return false;
  }
  SSL* ssl() { return ssl_; }

 private:
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
};

TEST_F(TlsWorld, RefusesTls11) {
  const auto context = server(good);
  TlsSession session(*context, fds[0]);
  EXPECT_FALSE(OtherClient(fds[1], TLS1_1_VERSION).shake_with(session));
  EXPECT_EQ(session.error(), "TLS failed: unsupported protocol");
}

TEST_F(TlsWorld, TakesTls12UnlessToldOtherwise) {
  const auto context = server(good);
  TlsSession session(*context, fds[0]);
  OtherClient other(fds[1], TLS1_2_VERSION);
  ASSERT_TRUE(other.shake_with(session)) << session.error();
  EXPECT_EQ(session.version(), "TLSv1.2");
}

TEST_F(TlsWorld, RefusesToRenegotiate) {
  const auto context = server(good);
  TlsSession session(*context, fds[0]);
  OtherClient other(fds[1], TLS1_2_VERSION);
  ASSERT_TRUE(other.shake_with(session)) << session.error();
  SSL_renegotiate(other.ssl());
  EXPECT_NE(SSL_do_handshake(other.ssl()), 1) << "asks";
  Outcome last{};
  EXPECT_EQ(read_all(session, last), "");
  EXPECT_EQ(last, Outcome::kWantRead) << "the connection goes on as it was";
  ERR_clear_error();
  EXPECT_NE(SSL_do_handshake(other.ssl()), 1);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
}

TEST_F(TlsWorld, ResumesASessionByItsTicket) {
  const auto context = server(good);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SSL_SESSION* ticket = nullptr;
    for (const bool again : {false, true}) {
      std::array<int, 2> pair{-1, -1};
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data());
      TlsSession session(*context, pair[0]);
      OtherClient other(pair[1], version);
      if (again) SSL_set_session(other.ssl(), ticket);
      ASSERT_TRUE(other.shake_with(session)) << session.error();
      EXPECT_EQ(session.resumed(), again) << version;
      std::size_t sent = 0;
      session.write("x", 1, sent);
      char byte = 0;
      EXPECT_EQ(SSL_read(other.ssl(), &byte, 1), 1) << "and the ticket before it";
      SSL_shutdown(other.ssl());  // a session that was broken off is not resumed
      if (again) SSL_SESSION_free(ticket);
      else ticket = SSL_get1_session(other.ssl());
      for (const int fd : pair) ::close(fd);
    }
  }
}

TEST_F(TlsWorld, RefusesTls12WhereTls13IsTheLeast) {
  const auto context = server(good, TlsVersion::k13);
  TlsSession session(*context, fds[0]);
  EXPECT_FALSE(OtherClient(fds[1], TLS1_2_VERSION).shake_with(session));
}

TEST_F(TlsWorld, RefusesCiphersWithoutForwardSecrecyOrAuthentication) {
  for (const char* ciphers : {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"}) {
    std::array<int, 2> pair{-1, -1};
    ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data());
    const auto context = server(good);
    TlsSession session(*context, pair[0]);
    EXPECT_FALSE(OtherClient(pair[1], TLS1_2_VERSION, ciphers).shake_with(session)) << ciphers;
    for (const int fd : pair) ::close(fd);
  }
}

TEST_F(TlsWorld, RefusesAClientThatSpeaksNoHttp11) {
  const auto context = server(good);
  TlsSession session(*context, fds[0]);
  OtherClient other(fds[1], TLS1_3_VERSION);
  SSL_set_alpn_protos(other.ssl(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
  EXPECT_FALSE(other.shake_with(session));
}

TEST_F(TlsWorld, RefusesPlainHttp) {
  const auto context = server(good);
  TlsSession session(*context, fds[0]);
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_EQ(::send(fds[1], request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  EXPECT_EQ(session.handshake(), Outcome::kFailed);
  EXPECT_EQ(session.error(), "TLS failed: http request");
}

TEST_F(TlsWorld, NamesTheFileThatCannotBeUsed) {
  const TestCertificate other = make_certificate("DNS:localhost", &authority);
  const std::string certificate = folder.write("c.pem", good.certificate_pem());
  const std::string key = folder.write("k.pem", good.key_pem());
  const auto error = [](const std::string& c, const std::string& k) {
    const auto made = TlsContext::server({.certificate_file = c, .key_file = k});
    return made ? "" : made.error().message.substr(0, made.error().message.find(':'));
  };
  EXPECT_EQ(error(certificate, key), "");
  EXPECT_EQ(error("/nonexistent", key), "certificate_file");
  EXPECT_EQ(error(key, key), "certificate_file");
  EXPECT_EQ(error(certificate, "/nonexistent"), "key_file");
  EXPECT_EQ(error(certificate, certificate), "key_file");
  EXPECT_EQ(error(certificate, folder.write("other.pem", other.key_pem())), "key_file");
  EXPECT_EQ(error(certificate, folder.write("locked.pem", good.key_pem("secret"))), "key_file") << "and nobody is asked for a passphrase";
  EXPECT_FALSE(TlsContext::client({.ca_file = "/nonexistent"}));
  EXPECT_FALSE(TlsContext::client({.ca_file = key}));
  EXPECT_TRUE(TlsContext::client({}));
}

TEST_F(TlsWorld, ReloadsIntoNewSessionsOnlyAndKeepsWhatWorks) {
  auto made = TlsServer::create(files(good));
  ASSERT_TRUE(made) << made.error().message;
  TlsServer& reloading = **made;
  const auto client_context = client();
  TlsSession there(reloading.current(), fds[0]);
  EXPECT_FALSE(*reloading.reload_if_changed());
  const TestCertificate renewed = make_certificate("DNS:localhost", &authority, 7200);
  (void)files(renewed);
  const std::int64_t first_end = reloading.current().certificate_ends_unix_s();
  EXPECT_TRUE(*reloading.reload_if_changed());
  EXPECT_GT(reloading.current().certificate_ends_unix_s(), first_end);
  folder.write("key.pem", "nonsense");
  EXPECT_FALSE(reloading.reload_if_changed());
  EXPECT_FALSE(reloading.reload());
  EXPECT_GT(reloading.current().certificate_ends_unix_s(), first_end);
  TlsSession here(*client_context, fds[1], "127.0.0.1");  // a name that only the first certificate has
  shake(here, there);
  EXPECT_TRUE(here.handshake_done()) << here.error();
}

}  // namespace
}  // namespace flexpert::crypto
