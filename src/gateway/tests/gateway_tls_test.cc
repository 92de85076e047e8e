#include <gtest/gtest.h>

#include "crypto/tests/test_certificates.h"
#include "gateway/tests/gateway_world.h"
#include "http/inbound.h"

namespace flexpert::gateway {
namespace {

/// A gateway that speaks TLS with clients and with an engine.
class TlsGateway : public GatewayWorld, public http::InboundAcceptor {
 protected:
  TlsGateway() {
    const auto engine = crypto::make_certificate("DNS:localhost,IP:127.0.0.1", &engine_authority);
    engine_tls = *crypto::TlsServer::create({.certificate_file = folder.write("e.pem", engine.certificate_pem()),
                                             .key_file = folder.write("ek.pem", engine.key_pem())});
    engine_address = *upstream.listen(*net::Address::parse("127.0.0.1:0"), engine_tls);
    engine_ca = folder.write("engine-ca.pem", engine_authority.certificate_pem());
    write_certificate(authority);
    client_tls = {.context = *crypto::TlsContext::client({.ca_file = folder.write("ca.pem", authority.certificate_pem())}),
                  .host = "localhost"};
  }
  /// Drops the upstream's connections before what they call.
  ~TlsGateway() override { gateway.reset(); }

  void on_request(http::InboundExchange& exchange) override {
    EXPECT_TRUE(exchange.secure());
    const auto path = exchange.head().path();
    if (path == "/v1/models")
      return exchange.respond(200, "Content-Type: application/json\r\n", R"({"object":"list","data":[{"id":"m"}]})");
    if (path == "/health") return exchange.respond(200, "", "");
    hosts.emplace_back(exchange.head().find("host"));
    keys.emplace_back(exchange.head().find("authorization"));
    exchange.respond(200, "Content-Type: application/json\r\n", answer);
  }
  void write_certificate(const crypto::TestCertificate& of) {
    const auto made = crypto::make_certificate("DNS:localhost", &of);
    certificate = folder.write("c.pem", made.certificate_pem());
    key = folder.write("k.pem", made.key_pem());
  }
  config::FleetConfig tls_config() {
    config::FleetConfig config = open_config();
    config.gateway.listeners.tls = config::TlsFiles{.certificate_file = certificate, .key_file = key};
    config::UpstreamConfig entry;
    entry.name = "engine";
    entry.url = fmt::format("https://localhost:{}", engine_address.port);
    entry.ca_file = engine_ca;
    config.upstreams.push_back(std::move(entry));
    return config;
  }
  Seen call(http::Client& browser, const http::ClientTls& tls) {
    auto seen = std::make_shared<Seen>();
    const std::string body = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
    browser.send(address, {.method = "POST", .target = "/v1/chat/completions", .body = body},
                {.on_head = [seen](int status, const http::Headers&) { seen->status = status; },
                 .on_body = [seen](std::string_view piece) { seen->body += piece; },
                 .on_end = [seen] { seen->ended = true; },
                 .on_error =
                     [seen](Error error) {
                       seen->failed = true;
                       seen->error = std::move(error);
                     }},
                tls);
    EXPECT_TRUE(until([&] { return seen->over(); }));
    return *seen;
  }

  crypto::TestFolder folder;
  crypto::TestCertificate authority = crypto::make_certificate("");
  crypto::TestCertificate engine_authority = crypto::make_certificate("");
  std::string certificate, key, engine_ca;
  std::string answer = R"({"id":"1","object":"chat.completion","model":"m","choices":[],)"
                       R"("usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}})";
  std::shared_ptr<crypto::TlsServer> engine_tls;
  http::ClientTls client_tls;
  net::Address engine_address;
  std::vector<std::string> hosts, keys;
  http::Inbound upstream{loop, {}, *this};
};

TEST_F(TlsGateway, CarriesARequestOverTlsOnBothSides) {
  start_and_wait(tls_config());
  http::Client browser(loop, {});
  const Seen seen = call(browser, client_tls);
  EXPECT_EQ(seen.status, 200) << seen.body << seen.error.message;
  EXPECT_EQ(seen.body, answer);
  EXPECT_EQ(hosts, std::vector<std::string>({fmt::format("localhost:{}", engine_address.port)}));
  EXPECT_TRUE(call(browser, {}).failed) << "plain HTTP at the same port";
}

TEST_F(TlsGateway, SendsNothingToAnUpstreamOfAnUnknownAuthority) {
  config::FleetConfig config = tls_config();
  config.upstreams[0].ca_file = folder.write("other.pem", authority.certificate_pem());
  config.upstreams[0].models = {"m"};
  start(config);
  http::Client browser(loop, {});
  const Seen seen = call(browser, client_tls);
  EXPECT_EQ(seen.status, 503) << seen.body;
  EXPECT_TRUE(hosts.empty());
}

TEST_F(TlsGateway, DoesNotStartWithoutItsCertificateOrAnUpstreamsAuthorities) {
  config::FleetConfig config = tls_config();
  config.gateway.listeners.tls->key_file = "/nonexistent";
  EXPECT_FALSE(Gateway::create(loop, config, registry, clock));
  telemetry::Registry other;
  config = tls_config();
  config.upstreams[0].ca_file = "/nonexistent";
  EXPECT_FALSE(Gateway::create(loop, config, other, clock));
}

TEST_F(TlsGateway, TakesARenewedCertificateWhenToldTo) {
  start_and_wait(tls_config());
  http::Client kept(loop, {});
  ASSERT_EQ(call(kept, client_tls).status, 200);
  const auto renewed_by = crypto::make_certificate("");
  write_certificate(renewed_by);
  gateway->reload();
  http::Client fresh(loop, {});
  const http::ClientTls trusting{.context = *crypto::TlsContext::client({.ca_file = folder.write("ca2.pem", renewed_by.certificate_pem())}),
                                 .host = "localhost"};
  EXPECT_TRUE(until([&] { return call(fresh, trusting).status == 200; }));
  EXPECT_EQ(call(kept, client_tls).status, 200) << "an open connection goes on with the old one";
}

TEST_F(TlsGateway, TakesAnUpstreamsRenewedAuthoritiesAndKeyWithoutARestart) {
  config::FleetConfig config = tls_config();
  config.upstreams[0].models = {"m"};
  config.upstreams[0].api_key_file = folder.write("engine.key", "first\n");
  start_and_wait(config);
  http::Client browser(loop, {});
  ASSERT_EQ(call(browser, client_tls).status, 200);

  const auto renewed_by = crypto::make_certificate("");
  const auto renewed = crypto::make_certificate("DNS:localhost", &renewed_by);
  folder.write("e.pem", renewed.certificate_pem());
  folder.write("ek.pem", renewed.key_pem());
  ASSERT_TRUE(engine_tls->reload());
  folder.write("engine-ca.pem", renewed_by.certificate_pem());
  folder.write("engine.key", "second\n");
  gateway->reload();
  EXPECT_TRUE(until([&] { return call(browser, client_tls).status == 200; }));
  EXPECT_EQ(keys.front(), "Bearer first");
  EXPECT_EQ(keys.back(), "Bearer second");

  folder.write("engine-ca.pem", "nothing");
  folder.write("engine.key", "two\nlines\n");
  gateway->reload();
  EXPECT_EQ(call(browser, client_tls).status, 200) << "what cannot be used changes nothing";
  EXPECT_EQ(keys.back(), "Bearer second");
}

}  // namespace
}  // namespace flexpert::gateway
