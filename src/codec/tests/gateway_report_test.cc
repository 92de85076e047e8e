#include "codec/gateway_report.h"

#include <gtest/gtest.h>

namespace flexpert::codec {
namespace {

GatewayReport sample() {
  GatewayReport report;
  report.gateway = "gw-1";
  report.boot = 0xFFFF'FFFF'FFFF'FFFF;
  report.sequence = 7;
  report.uptime_s = 12.5;
  report.connections = 3;
  report.cpu_s = 0.25;
  report.leaving = true;
  GatewayModelLoad load;
  load.model = "m \"1\"";
  load.offered = 10;
  load.finished = 6;
  load.failed = 1;
  load.isl = {600, 6};
  load.isl_estimated = 2;
  load.osl = {90, 6};
  load.ttft_s = {1.5, 6};
  load.itl_s = {0.5, 84};
  load.duration_s = {9.25, 6};
  load.in_flight_s = 33.5;
  load.in_flight = 2;
  load.held = 1;
  report.models = {load};
  report.servers = {{"serve-0", 2, 120.5}};
  return report;
}

TEST(GatewayReport, ComesBackAlike) {
  const auto back = decode_gateway_report(encode(sample()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, sample());
}

TEST(GatewayReport, MistakesNameTheField) {
  const struct Case {
    std::string_view from;
    std::string_view to;
    std::string_view message;
  } cases[] = {
      {"\"gateway\":\"gw-1\"", "\"gateway\":\"\"", "gateway: must have 1 to 512 bytes"},
      {"\"uptime_s\":1.25E1", "\"uptime_s\":-1", "uptime_s: must be a finite number of at least 0"},
      {"\"cpu_s\":2.5E-1", "\"cpu_s\":1E999", ""},
      {"\"held\":1", "\"held\":-1", "models[0].held: must be an integer from 0"},
      {"\"offered\":10", "\"offered\":10.5", "models[0].offered: must be an integer from 0"},
      {"\"isl\":{\"sum\":6E2", "\"isl\":{\"sum\":null", "models[0].isl.sum: must be a number"},
      {"\"osl\":{", "\"osl\":3,\"x\":{", "models[0].osl: must be an object of sum and count"},
      {"\"remaining_tokens\":1.205E2", "\"remaining_tokens\":-2", "servers[0].remaining_tokens: must be a finite number"},
      {"\"servers\":[", "\"servers\":[{\"id\":\"serve-0\",\"in_flight\":0,\"remaining_tokens\":0},", "servers: \"serve-0\" is there twice"},
      {"\"sequence\":7,", "", "sequence: missing"},
  };
  for (const Case& c : cases) {
    std::string text = encode(sample());
    const std::size_t at = text.find(c.from);
    ASSERT_NE(at, std::string::npos) << c.from << " in " << text;
    const auto result = decode_gateway_report(text.replace(at, c.from.size(), c.to));
    ASSERT_FALSE(result) << c.to;
    EXPECT_NE(result.error().message.find(c.message), std::string::npos) << result.error().message;
  }
}

TEST(GatewayReport, ListsThatAreTooLongAreRefused) {
  GatewayReport report;
  report.gateway = "g";
  report.models.resize(1001);
  const auto result = decode_gateway_report(encode(report));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "models: at most 1000 entries: 1001");
}

}  // namespace
}  // namespace flexpert::codec
