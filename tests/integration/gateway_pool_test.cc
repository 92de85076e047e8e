// Replicas of the gateway as a pool: they accept from one socket, come and go, and no request notices.
#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "integration/test_fleet.h"
#include "net/socket.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

/// A port that is free now; replicas need one that stays the same.
std::uint16_t free_port() {
  const net::Address any{.is_unix = false, .host_or_path = "127.0.0.1", .port = 0};
  const auto socket = net::listen_on(any);
  EXPECT_TRUE(socket);
  return net::bound_address(socket->get(), any)->port;
}

class GatewayPool : public testing::Test {
 protected:
  void SetUp() override {
    const std::string config = folder_.write("pools.yaml", fmt::format(R"(
gateway: {{listen: "127.0.0.1:{}", metrics_listen: "127.0.0.1:0"}}
controller: {{listen: "127.0.0.1:{}"}}
access: {{anonymous: true}}
planner: {{interval_s: 0.2}}
pools:
  - name: tiny
    min: 1
    max: 1
    launch: {{model: {}}}
    policies: [{{name: fixed, kind: manual, replicas: 1}}]
  - name: front
    role: gateway
    min: 0
    max: 3
    policies: [{{name: fixed, kind: manual, replicas: 0}}]
    stabilisation: {{down_window_s: 0, min_between_reversals_s: 0, max_loading: 4}}
)",
                                                                       gateway_.port, controller_.port, FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe"));
    up_ = std::make_unique<RunningProgram>(loop_, std::vector<std::string>{"up", "-c", config}, std::vector<std::string>{"XDG_RUNTIME_DIR=" + folder_.path()});
    ASSERT_NE(up_->wait_for_line("ready: http", Seconds(90)), "") << up_->output();
  }
  http::Response send(const net::Address& to, const std::string& method, const std::string& target, const std::string& body = {}) const {
    http::Request request{.method = method, .target = target, .headers = {}, .body = body, .peer = {}};
    request.headers.add("Content-Type", "application/json");
    auto answer = http::fetch(to, std::move(request), Seconds(60));
    return answer ? std::move(*answer) : http::Response{.status = 0, .headers = {}, .body = answer.error().message};
  }
  std::size_t ready_replicas() const {
    std::size_t count = 0;
    const json::value status = json::parse(send(controller_, "GET", "/api/v1/status").body);
    for (const json::value& instance : status.at("instances").as_array())
      count += instance.at("role").as_string() == "gateway" && instance.at("state").as_string() == "ready" ? 1 : 0;
    return count;
  }
  /// Ready replicas whose own metrics count a request.
  std::size_t replicas_that_answered() const {
    std::size_t count = 0;
    const json::value status = json::parse(send(controller_, "GET", "/api/v1/status").body);
    for (const json::value& instance : status.at("instances").as_array()) {
      if (instance.at("role").as_string() != "gateway" || instance.at("state").as_string() != "ready") continue;
      const auto address = net::Address::parse(json::value_to<std::string>(instance.at("address")));
      if (address && send(*address, "GET", "/metrics").body.find("flexpert_gateway_requests_total{route=\"/v1/") != std::string::npos) ++count;
    }
    return count;
  }
  void scale_to(std::size_t replicas) {
    const http::Response answer = send(controller_, "POST", "/api/v1/pools/front/limits", fmt::format(R"({{"manual":{}}})", replicas));
    ASSERT_EQ(answer.status / 100, 2) << answer.body;
  }
  /// Sends chats, each on a connection of its own, until `condition` holds; counts those that failed.
  int failed_until(const std::function<bool()>& condition) {
    int failed = 0;
    const TimePoint give_up = SystemClock().now() + Seconds(60);
    while (!condition() && SystemClock().now() < give_up) {
      const http::Response answer = send(gateway_, "POST", "/v1/chat/completions", chat_body("Hello", 4, false));
      if (answer.status != 200) ++failed;
    }
    EXPECT_TRUE(condition());
    return failed;
  }

  TemporaryFolder folder_;
  net::EventLoop loop_;
  net::Address gateway_{.is_unix = false, .host_or_path = "127.0.0.1", .port = free_port()};
  net::Address controller_{.is_unix = false, .host_or_path = "127.0.0.1", .port = free_port()};
  std::unique_ptr<RunningProgram> up_;
};

TEST_F(GatewayPool, ReplicasComeAndGoUnderLoadWithoutAFailedRequest) {
  EXPECT_EQ(ready_replicas(), 0U);
  ASSERT_NO_FATAL_FAILURE(scale_to(2));
  EXPECT_EQ(failed_until([&] { return ready_replicas() == 2; }), 0);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(send(gateway_, "GET", "/v1/models").status, 200);
  EXPECT_GE(replicas_that_answered(), 1U) << "replicas take part";
  ASSERT_NO_FATAL_FAILURE(scale_to(0));
  EXPECT_EQ(failed_until([&] { return ready_replicas() == 0; }), 0);
}

}  // namespace
}  // namespace flexpert::integration
