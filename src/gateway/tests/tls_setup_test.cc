#include "gateway/tls_setup.h"

#include <gtest/gtest.h>

#include "crypto/tests/test_certificates.h"

namespace flexpert::gateway {
namespace {

ModelServer server_at(const std::string& host, bool tls, const std::string& ca_file = "") {
  ModelServer server;
  server.id = "up";
  server.host = host;
  server.address = *net::Address::parse("127.0.0.1:7");
  server.tls = tls;
  server.ca_file = ca_file;
  return server;
}

TEST(UpstreamTrust, ComparesCertificatesWithTheNameOfTheUrl) {
  const crypto::TestFolder folder;
  const std::string ca = folder.write("ca.pem", crypto::make_certificate("").certificate_pem());
  UpstreamTrust trust;
  EXPECT_EQ(trust.of(server_at("engine.internal:8443", true, ca))->host, "engine.internal");
  EXPECT_EQ(trust.of(server_at("[::1]:443", true, ca))->host, "::1");
  EXPECT_EQ(trust.of(server_at("10.0.0.1:443", true, ca))->host, "10.0.0.1");
  EXPECT_EQ(trust.of(server_at("", true, ca))->host, "127.0.0.1");
  EXPECT_EQ(trust.of(server_at("a:1", true, ca))->context, trust.of(server_at("b:1", true, ca))->context) << "read once";
  EXPECT_NE(trust.of(server_at("a:1", true))->context, trust.of(server_at("a:1", true, ca))->context);
}

TEST(UpstreamTrust, RenewsWhatChangedAndCanBeUsed) {
  const crypto::TestFolder folder;
  const std::string a = folder.write("a.pem", crypto::make_certificate("").certificate_pem());
  const std::string b = folder.write("b.pem", crypto::make_certificate("").certificate_pem());
  UpstreamTrust trust;
  const auto first_a = trust.of(server_at("a:1", true, a))->context;
  const auto first_b = trust.of(server_at("b:1", true, b))->context;
  EXPECT_TRUE(trust.renew().empty());
  folder.write("a.pem", crypto::make_certificate("").certificate_pem());
  folder.write("b.pem", "nothing");
  EXPECT_EQ(trust.renew(), std::set<std::string>{a});
  EXPECT_NE(trust.of(server_at("a:1", true, a))->context, first_a);
  EXPECT_EQ(trust.of(server_at("b:1", true, b))->context, first_b);
}

TEST(UpstreamTrust, IsNotAskedOfPlainHttp) {
  UpstreamTrust trust;
  const auto plain = trust.of(server_at("a:80", false, "/nonexistent"));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->context, nullptr);
}

TEST(UpstreamTrust, NeverFallsBackToPlainHttp) {
  UpstreamTrust trust;
  const auto none = trust.of(server_at("a:443", true, "/nonexistent"));
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("upstream up: ca_file"), std::string::npos) << none.error().message;
}

TEST(ListenerTls, ReadsWhatTheConfigurationNames) {
  const crypto::TestFolder folder;
  const auto certificate = crypto::make_certificate("DNS:localhost");
  config::ListenersConfig listeners;
  EXPECT_EQ(*listener_tls(listeners), nullptr);
  listeners.tls = config::TlsFiles{.certificate_file = folder.write("c.pem", certificate.certificate_pem()),
                                   .key_file = folder.write("k.pem", certificate.key_pem())};
  const auto made = listener_tls(listeners);
  ASSERT_TRUE(made) << made.error().message;
  const crypto::TlsContext* const before = &(*made)->current();
  folder.write("k.pem", "nonsense");
  renew_certificate(**made);
  EXPECT_EQ(&(*made)->current(), before);
  listeners.tls->key_file = "/nonexistent";
  const auto missing = listener_tls(listeners);
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().message.starts_with("gateway.tls: key_file")) << missing.error().message;
}

}  // namespace
}  // namespace flexpert::gateway
