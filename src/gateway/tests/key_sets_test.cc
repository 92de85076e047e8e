#include "gateway/key_sets.h"

#include <gtest/gtest.h>

#include "crypto/tests/jws_signing.h"
#include "crypto/tests/test_certificates.h"
#include "http/inbound.h"

namespace flexpert::gateway {
namespace {

/// A server of keys over TLS whose certificate comes from an authority of its own.
class KeysOverTls : public ::testing::Test, public http::InboundAcceptor {
 protected:
  KeysOverTls() {
    const auto made = crypto::make_certificate("DNS:localhost,IP:127.0.0.1", &authority_);
    const auto tls = crypto::TlsServer::create(
        {.certificate_file = folder_.write("c.pem", made.certificate_pem()), .key_file = folder_.write("k.pem", made.key_pem())});
    EXPECT_TRUE(tls) << tls.error().message;
    const auto bound = server_.listen(*net::Address::parse("127.0.0.1:0"), *tls);
    EXPECT_TRUE(bound) << bound.error().message;
    url_ = fmt::format("https://localhost:{}/keys", bound->port);
    ca_ = folder_.write("ca.pem", authority_.certificate_pem());
  }
  void on_request(http::InboundExchange& exchange) override {
    ++asked_;
    exchange.respond(200, "Content-Type: application/json\r\n", fmt::format("{{\"keys\":[{}]}}", key_.jwk(R"(,"kid":"k1")")));
  }
  std::unique_ptr<KeySet> keys(const std::string& ca_file) {
    KeySet::Options options{.issuer = "idp", .url = url_, .file = {}, .ca_file = ca_file, .min_refresh = Duration::zero()};
    return std::make_unique<KeySet>(loop_, clock_, client_, std::move(options), [this] { ++changes_; });
  }
  /// Waits until the fetch under way is over.
  void fetched(KeySet& keys) {
    bool over = false;
    const auto waiting = keys.wait([&over] { over = true; });
    const TimePoint give_up = SystemClock().now() + Seconds(10);
    while (!over && SystemClock().now() < give_up) loop_.run_once(Milliseconds(20));
    EXPECT_TRUE(over);
  }

  crypto::TestFolder folder_;
  crypto::TestCertificate authority_ = crypto::make_certificate("");
  crypto::SigningKey key_ = crypto::SigningKey::ec(CJOSE_JWK_EC_P_256);
  SystemClock clock_;
  net::EventLoop loop_;
  web_client::WebClient client_{loop_};
  http::Inbound server_{loop_, {}, *this};
  std::string url_, ca_;
  int asked_ = 0;
  int changes_ = 0;
};

TEST_F(KeysOverTls, AreTakenFromWhomTheFileTrustsAndNobodyElse) {
  const auto trusting = keys(ca_);
  ASSERT_TRUE(trusting->start());
  fetched(*trusting);
  ASSERT_NE(trusting->keys(), nullptr);
  EXPECT_EQ(changes_, 1);

  const auto by_system = keys("");
  ASSERT_TRUE(by_system->start());
  fetched(*by_system);
  EXPECT_EQ(by_system->keys(), nullptr) << "the system knows nothing of this authority";
  EXPECT_EQ(asked_, 1);
}

TEST_F(KeysOverTls, ARenewedFileCountsFromTheNextFetchOn) {
  const std::string file = folder_.write("changing.pem", crypto::make_certificate("").certificate_pem());
  const auto changing = keys(file);
  ASSERT_TRUE(changing->start());
  fetched(*changing);
  EXPECT_EQ(changing->keys(), nullptr);
  EXPECT_EQ(asked_, 0) << "nothing is asked of a server that is not trusted";
  folder_.write("changing.pem", authority_.certificate_pem());
  ASSERT_EQ(changing->request_newer(), KeySet::Newer::kFetching);
  fetched(*changing);
  EXPECT_NE(changing->keys(), nullptr);
}

TEST_F(KeysOverTls, AFileWithoutCertificatesIsAnErrorAtTheStart) {
  for (const std::string& file : {std::string("/nonexistent"), folder_.write("empty.pem", "nothing")}) {
    const auto started = keys(file)->start();
    ASSERT_FALSE(started);
    EXPECT_TRUE(started.error().message.starts_with("ca_file")) << started.error().message;
  }
}

}  // namespace
}  // namespace flexpert::gateway
