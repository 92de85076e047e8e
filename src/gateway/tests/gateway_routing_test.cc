// Which upstream gets a request, through the whole gateway.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "crypto/tests/test_certificates.h"
#include "gateway/tests/gateway_world.h"

namespace flexpert::gateway {
namespace {

class GatewayRoutingTest : public GatewayWorld {
 protected:
  /// `count` upstreams that say who they are.
  void start_fleet(std::size_t count, const config::RoutingConfig& routing) {
    std::vector<FakeServer*> all;
    for (std::size_t i = 0; i < count; ++i) {
      upstreams.push_back(std::make_unique<FakeServer>(loop, [this, i](const http::Request&, http::Responder responder) {
        responder.respond(http::json_response(ill == i ? 500 : 200, fmt::format(R"({{"by":{}}})", i)));
      }));
      all.push_back(upstreams.back().get());
    }
    config::FleetConfig config = config_for(all);
    config.gateway.routing = routing;
    start(config);
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_TRUE(until([&] { return metric(fmt::format("flexpert_gateway_upstream_ready{{upstream=\"up-{}\"}}", i)) == 1; }));
  }
  std::string ask(std::string_view prompt, const http::Headers& headers = {}) {
    return call("POST", "/v1/completions", fmt::format(R"({{"model":"m","prompt":"{}"}})", prompt), headers)->body;
  }

  std::vector<std::unique_ptr<FakeServer>> upstreams;
  std::size_t ill = 99;
};

TEST_F(GatewayRoutingTest, PromptsThatBeginAlikeMeetAtOneUpstream) {
  config::RoutingConfig routing;
  routing.policy = "prefix_hash";
  routing.prefix_bytes = 16;
  start_fleet(4, routing);
  std::map<std::string, int> seen;
  for (int prompt = 0; prompt < 12; ++prompt) {
    const std::string beginning = fmt::format("prompt number {:02} ", prompt);
    const std::string by = ask(beginning);
    ++seen[by];
    for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(fmt::format("{} and then {}", beginning, i)), by);
  }
  EXPECT_GT(seen.size(), 1U);
}

TEST_F(GatewayRoutingTest, ASessionStaysWhereItIsAndNobodyInParticularIsNoSession) {
  config::RoutingConfig routing;
  routing.policy = "session";
  routing.session_header = "X-Session";
  start_fleet(3, routing);
  http::Headers session;
  session.add("X-Session", "abc");
  const std::string home = ask("a", session);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(fmt::format("b {}", i), session), home);
  std::map<std::string, int> seen;
  for (int i = 0; i < 9; ++i) ++seen[ask("c")];
  EXPECT_EQ(seen.size(), 3U);
}

TEST_F(GatewayRoutingTest, AnUpstreamThatFailsAgainAndAgainIsLeftOut) {
  config::RoutingConfig routing;
  routing.policy = "round_robin";
  routing.eject_after_failures = 3;
  start_fleet(3, routing);
  ill = 1;
  for (int i = 0; i < 9; ++i) ask("x");
  EXPECT_EQ(upstreams[1]->requests.size(), 3U);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(ask("x").find("\"by\":1"), std::string::npos);
  EXPECT_EQ(upstreams[1]->requests.size(), 3U);
  EXPECT_EQ(gateway->load(), 0U);
}

TEST_F(GatewayRoutingTest, TheUpstreamGetsTheClientsTraceWithASpanOfOurs) {
  start_fleet(1, {});
  http::Headers headers;
  headers.add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  headers.add("tracestate", "a=1");
  ask("x", headers);
  const http::Headers& got = upstreams[0]->requests.back().headers;
  EXPECT_TRUE(got.find("traceparent").value_or("").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
  EXPECT_EQ(got.find("traceparent").value_or("").find("b7ad6b7169203331"), std::string::npos);
  EXPECT_EQ(got.find("tracestate").value_or(""), "a=1");
  ask("x");
  EXPECT_TRUE(upstreams[0]->requests.back().headers.find("traceparent").value_or("").ends_with("-00"));
}

TEST_F(GatewayRoutingTest, AnEngineThatRegistersServesOnceItHasProvedItsModel) {
  crypto::TestFolder folder;
  FakeServer engine(loop, [](const http::Request&, http::Responder responder) { responder.respond(http::json_response(200, R"({"by":"engine"})")); });
  config::FleetConfig config = open_config();
  config.gateway.listeners.admin = "127.0.0.1:0";
  config.access.pool_secret_file = folder.write("pool.secret", std::string(40, 's'));
  std::filesystem::permissions(config.access.pool_secret_file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  config.access.pool_networks = {"127.0.0.0/8"};
  start(config);
  const auto admin = gateway->listen_for_admin();
  ASSERT_TRUE(admin && *admin) << admin.error().message;
  const auto register_with = [&](const std::string& secret) {
    http::Headers headers;
    headers.add("Authorization", "Bearer " + secret);
    auto seen = send_to(**admin, "POST", "/internal/register", fmt::format(R"({{"url":"http://{}","models":["m"]}})", engine.address()), headers);
    EXPECT_TRUE(until([&] { return seen->over(); }));
    return seen->status;
  };
  EXPECT_EQ(register_with("wrong"), 401);
  EXPECT_EQ(call("POST", "/v1/completions", R"({"model":"m","prompt":"x"})")->status, 404);
  EXPECT_EQ(register_with(std::string(40, 's')), 202);
  ASSERT_TRUE(until([&] { return gateway->ready(); }));
  EXPECT_EQ(ask("x"), R"({"by":"engine"})");
  EXPECT_EQ(engine.requests.size(), 1U);
  EXPECT_FALSE(engine.requests[0].headers.find("X-Flexpert-Grant").has_value());
}

}  // namespace
}  // namespace flexpert::gateway
