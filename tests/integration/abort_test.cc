// A client that goes away: its request ends at the gateway and in the engine, and gives its KV blocks back.
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "integration/test_fleet.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

class Abort : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fleet.ready());
    for (const InstanceStatus& instance : fleet.snapshot().instances)
      if (instance.role == InstanceRole::kModelServer) server = *net::Address::parse(instance.address);
  }
  [[nodiscard]] std::int64_t status(const char* field) const {
    return json::parse(fleet.get(server, "/internal/status").body).at(field).to_number<std::int64_t>();
  }
  /// Reads a gauge of the gateway; -1 where it has none of that name.
  [[nodiscard]] double gateway_gauge(const std::string& name) const {
    const std::string text = fleet.get(fleet.probes(), "/metrics").body;
    const std::string series = "\n" + name + " ";
    const std::size_t at = text.find(series);
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size()));
  }

  TestFleet fleet{{.pace_rows_per_s = 2000, .more_arguments = {}}};
  net::Address server;
};

TEST_P(Abort, GivesEverythingBack) {
  http::Client client(fleet.loop(), {});
  int pieces = 0;
  http::Request request;
  request.method = "POST";
  request.target = "/v1/chat/completions";
  request.headers.add("Content-Type", "application/json");
  request.body = chat_body("Tell me a very long story.", 700, GetParam(), true);
  http::AnswerCallbacks callbacks;
  callbacks.on_body = [&](std::string_view) { ++pieces; };
  const auto id = client.send(fleet.gateway(), std::move(request), std::move(callbacks));
  ASSERT_TRUE(run_until(fleet.loop(), Seconds(20), [&] { return status("kv_blocks_used") > 0 && (!GetParam() || pieces > 0); }));
  EXPECT_EQ(status("running"), 1);
  client.cancel(id);
  EXPECT_TRUE(run_until(fleet.loop(), Seconds(5), [&] { return status("kv_blocks_used") == 0 && status("running") == 0; }));
  for (const char* gauge : {"flexpert_gateway_in_flight", "flexpert_gateway_admitted"})
    EXPECT_TRUE(run_until(fleet.loop(), Seconds(5), [&] { return gateway_gauge(gauge) == 0; })) << gauge << " " << gateway_gauge(gauge);
  // The server takes the next one as if nothing had been.
  EXPECT_EQ(fleet.post("/v1/chat/completions", chat_body("Hi.", 4, false)).status, 200);
}

INSTANTIATE_TEST_SUITE_P(OfStreamsAndWholeAnswers, Abort, testing::Bool(), [](const auto& given) { return given.param ? "Stream" : "Whole";
    });

TEST(ModelServerOfAFleet, ServesNobodyWithoutAGrant) {
  TestFleet fleet;
  ASSERT_TRUE(fleet.ready());
  for (const InstanceStatus& instance : fleet.snapshot().instances) {
    if (instance.role != InstanceRole::kModelServer) continue;
    const net::Address server = *net::Address::parse(instance.address);
    EXPECT_EQ(fleet.ask(server, "POST", "/v1/chat/completions").status, 401);
    EXPECT_EQ(fleet.ask(server, "POST", "/internal/experts").status, 401);
    EXPECT_EQ(fleet.get(server, "/health").status, 200);
    EXPECT_EQ(fleet.get(server, "/internal/status").status, 200);
  }
  EXPECT_EQ(fleet.post("/v1/chat/completions", chat_body("Hi.", 4, false)).status, 200);
}

}  // namespace
}  // namespace flexpert::integration
