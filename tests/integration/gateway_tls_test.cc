// TLS of the real program: it says so, renews its certificate on SIGHUP, and lives on.
#include <csignal>

#include <gtest/gtest.h>

#include "crypto/tests/test_certificates.h"
#include "http/client.h"
#include "integration/running_program.h"
#include "net/address.h"

namespace flexpert::integration {
namespace {

class GatewayTls : public testing::Test {
 protected:
  http::ClientTls trust(const crypto::TestCertificate& authority) const {
    return {.context = *crypto::TlsContext::client({.ca_file = folder_.write("ca.pem", authority.certificate_pem())}), .host = "localhost"};
  }
  void write_certificate(const crypto::TestCertificate& authority) {
    const auto made = crypto::make_certificate("DNS:localhost", &authority);
    certificate_ = folder_.write("c.pem", made.certificate_pem());
    key_ = folder_.write("k.pem", made.key_pem());
  }
  /// The status of GET /v1/models on a connection of its own; 0 if there is none.
  int status_of(const net::Address& address, const http::ClientTls& tls) {
    http::Client client(loop_, {});
    int status = 0;
    bool over = false;
    client.send(address, {.method = "GET", .target = "/v1/models"},
                {.on_head = [&](int got, const http::Headers&) { status = got; }, .on_body = {}, .on_end = [&] { over = true; },
                 .on_error = [&](const Error&) { over = true; }}, tls);
    EXPECT_TRUE(run_until(loop_, Seconds(20), [&] { return over; }));
    return status;
  }

  net::EventLoop loop_;
  crypto::TestFolder folder_;
  std::string certificate_;
  std::string key_;
};

TEST_F(GatewayTls, IsRenewedOnSighupWithoutARestart) {
  const crypto::TestCertificate first = crypto::make_certificate("");
  const crypto::TestCertificate second = crypto::make_certificate("");
  write_certificate(first);
  const std::string config = folder_.write("g.yaml", fmt::format(R"(
gateway: {{listen: "127.0.0.1:0", metrics_listen: "127.0.0.1:0", tls: {{certificate_file: {}, key_file: {}}}}}
access: {{anonymous: true}}
upstreams: [{{url: "http://127.0.0.1:1", models: [m]}}]
)",
                                                                 certificate_, key_));
  RunningProgram gateway(loop_, {"gateway", "-c", config});
  const std::string line = gateway.wait_for_line("gateway listening on https://", Seconds(30));
  ASSERT_NE(line, "") << gateway.output();
  const auto address = net::Address::parse(line.substr(line.find("https://") + 8));
  ASSERT_TRUE(address) << line;
  EXPECT_EQ(status_of(*address, trust(first)), 200);
  EXPECT_EQ(status_of(*address, trust(second)), 0);

  write_certificate(second);
  gateway.signal(SIGHUP);
  ASSERT_NE(gateway.wait_for_line("TLS for new connections", Seconds(30)), "") << gateway.output();
  EXPECT_EQ(status_of(*address, trust(second)), 200);
  EXPECT_EQ(status_of(*address, trust(first)), 0);
  gateway.signal(SIGTERM);
  const auto exit = gateway.wait_for_exit(Seconds(30));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0) << gateway.output();
}

}  // namespace
}  // namespace flexpert::integration
