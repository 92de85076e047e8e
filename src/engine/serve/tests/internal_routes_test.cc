#include "engine/serve/tests/http_front_fixture.h"

#include "crypto/digest.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;

TEST_F(HttpFrontTest, ListsTheModelAndItsHealth) {
  EXPECT_EQ(get("/v1/models").json().at("data").at(0).at("id"), "tiny");
  EXPECT_EQ(get("/health").body, R"({"status":"ok"})");
  EXPECT_EQ(get("/ready").body, R"({"status":"ready"})");
  EXPECT_EQ(get("/internal/status").json(),
            json::parse(R"({"model":"tiny","fingerprint":"ab12","epoch":0,"running":1,"queued":2,"kv_blocks_used":3,"kv_blocks_total":8,"paced":true,"max_context":128})"));
  const std::string metrics = get("/metrics").body;
  EXPECT_NE(metrics.find("flexpert_paced 1"), std::string::npos);
  EXPECT_NE(metrics.find(R"(flexpert_http_requests_total{route="/health",status="200"} 1)"), std::string::npos);
  EXPECT_NE(metrics.find("flexpert_http_requests_in_flight 1"), std::string::npos) << "the request for the metrics itself";
}

TEST_F(HttpFrontTest, ReportsExpertLoads) {
  const json::value loads = get("/internal/expert-loads").json();
  EXPECT_EQ(loads.at("rows"), json::parse("[1,2,3,4,4,3,2,1]"));
  EXPECT_EQ(loads.at("tokens"), 5);  // ten rows in the first layer, two experts a token
  EXPECT_EQ(loads.at("steps"), 5);
  EXPECT_EQ(loads.at("layers"), 2);
}

TEST_F(HttpFrontTest, TakesNewerRoutingTables) {
  const auto table = [](int epoch, int experts = 4) {
    std::string replicas = "[0]";
    for (int i = 1; i < 2 * experts; ++i) replicas += ",[]";
    return fmt::format(R"({{"epoch":{},"layers":2,"experts":{},"endpoints":[{{"id":"expert-0","address":"unix:/tmp/x.sock"}}],"replicas":[{}]}})", epoch, experts,
                       replicas);
  };
  Answer answer = call(address_, "PUT", "/internal/routing-table", table(7));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"epoch":7})");
  EXPECT_EQ(get("/internal/status").json().at("epoch"), 7);
  EXPECT_EQ(get("/internal/routing-table").json(), json::parse(table(7)));
  EXPECT_EQ(call(address_, "PUT", "/internal/routing-table", table(6)).status, 409);
  EXPECT_EQ(call(address_, "PUT", "/internal/routing-table", table(8, 5)).status, 400);
  EXPECT_EQ(call(address_, "PUT", "/internal/routing-table", "{}").status, 400);
  EXPECT_EQ(get("/internal/routing-table").json().at("epoch"), 7);
}

TEST_F(HttpFrontTest, ChangesResourcesAndSaysWhatItCannot) {
  EXPECT_EQ(get("/internal/resources").json().at("kv_blocks"), 8);
  EXPECT_EQ(call(address_, "PUT", "/internal/resources", R"({"kv_blocks":4})").status, 200);
  EXPECT_EQ(call(address_, "PUT", "/internal/resources", R"({"kv_blocks":17})").status, 400);
  const Answer unknown = call(address_, "PUT", "/internal/resources", R"({"blocks":4})");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(unknown.body.find("blocks: unknown field"), std::string::npos) << unknown.body;
}

TEST_F(HttpFrontTest, RunsATokenThroughNamedExperts) {
  put_instances();
  const Answer answer = post("/internal/experts", R"({"token_id":101,"timeout_ms":2000,"calls":[
      {"name":"A","instance":"expert-0","weight":0.5,"slots":[[0,1],[1,3]]},{"name":"B","instance":"expert-0","slots":[[1,2]]}]})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  const json::value body = answer.json();
  EXPECT_EQ(body.at("input_token_id"), 101);
  EXPECT_EQ(body.at("calls").at(0).at("name"), "A");
  EXPECT_EQ(body.at("calls").at(1).at("instance"), "expert-0");
  EXPECT_GE(body.at("calls").at(0).at("latency_ms").to_number<double>(), 0);
  // A: 0.5 * mean(1 x, 3 x) = x; B: 2 x; together three times the embedding (101, 1, 2).
  const std::vector<float> expected = {303, 3, 6};
  EXPECT_EQ(body.at("output_digest"), json::string(crypto::sha256_hex(std::as_bytes(std::span(expected)))));
}

TEST_F(HttpFrontTest, SaysWhichExpertCallFailed) {
  const auto run = [&](std::string_view token, std::string_view instance, std::string_view slots) {
    return post("/internal/experts", fmt::format(R"({{"token_id":{},"timeout_ms":50,"calls":[{{"name":"C","instance":"{}","slots":{}}}]}})", token, instance, slots));
  };
  EXPECT_EQ(run("1", "expert-0", "[[0,0]]").status, 404) << "no table yet";
  put_instances();
  EXPECT_EQ(run("1", "expert-0", "[[0,0]]").status, 200);
  EXPECT_EQ(run("1", "expert-0", "[[0,1],[1,0]]").status, 404) << "it has no replica of layer 1 expert 0";
  EXPECT_EQ(run("1", "nobody", "[[0,0]]").status, 404);
  EXPECT_EQ(run("1", "nobody", "[[0,0]]").error("code"), "call C");
  EXPECT_EQ(run("1", "dead", "[[0,0]]").status, 502);
  EXPECT_EQ(run("1", "hung", "[[0,0]]").status, 504);
  EXPECT_EQ(rows_.waiting, 0U) << "what nobody waits for is cancelled";
  EXPECT_EQ(run("2048", "expert-0", "[[0,0]]").error("param"), "token_id");
  EXPECT_EQ(run("-1", "expert-0", "[[0,0]]").error("param"), "token_id");
  EXPECT_EQ(run("1", "expert-0", "[]").error("param"), "calls[0].slots");
  EXPECT_EQ(run("1", "expert-0", "[[0,0],[2,0]]").error("param"), "calls[0].slots[1][0]");
  EXPECT_EQ(run("1", "expert-0", "[[0,4]]").error("param"), "calls[0].slots[0][1]");
  EXPECT_EQ(post("/internal/experts", "{").status, 400);
  EXPECT_EQ(post("/internal/experts", R"({"token_id":1,"calls":[]})").error("param"), "calls");
}

TEST_F(HttpFrontTest, AHungInstanceDelaysItsOwnExpertCallsOnly) {
  put_instances();
  const auto body = [](std::string_view first, std::string_view second, int timeout_ms) {
    return fmt::format(R"({{"token_id":1,"timeout_ms":{},"calls":[{{"name":"A","instance":"{}","slots":[[0,1]]}},{{"name":"B","instance":"{}","slots":[[0,1]]}}]}})",
                       timeout_ms, first, second);
  };
  std::vector<std::future<Answer>> hung;
  for (int i = 0; i < 3; ++i) hung.push_back(call_async(address_, "POST", "/internal/experts", body("expert-0", "hung", 700)));
  const auto until = std::chrono::steady_clock::now() + Seconds(10);
  while (rows_.waiting != 3 && std::chrono::steady_clock::now() < until) post("/internal/experts", body("expert-0", "expert-0", 5000));
  EXPECT_EQ(rows_.waiting, 3U);
  EXPECT_EQ(post("/internal/experts", body("expert-0", "expert-0", 5000)).status, 200);
  EXPECT_EQ(hung.front().wait_for(Seconds(0)), std::future_status::timeout);
  for (auto& one : hung) {
    const Answer answer = one.get();
    EXPECT_EQ(answer.status, 504);
    EXPECT_EQ(answer.error("code"), "call B");
  }
  // Two calls of one request fail at the same time.
  EXPECT_EQ(post("/internal/experts", body("dead", "dead", 5000)).error("code"), "call A");
}

TEST_F(HttpFrontTest, ExpertCallsAreBoundedAndEndWithTheirClients) {
  put_instances();
  const std::string body = R"({"token_id":1,"timeout_ms":60000,"calls":[{"name":"A","instance":"hung","slots":[[0,1]]}]})";
  const auto until = std::chrono::steady_clock::now() + Seconds(10);
  const auto wait_for_rows = [&](std::size_t count) {
    while (rows_.waiting != count && std::chrono::steady_clock::now() < until) get("/health");
    return rows_.waiting == count;
  };
  std::vector<net::UniqueFd> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(connected());
    send_all(clients.back(), fmt::format("POST /internal/experts HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  }
  ASSERT_TRUE(wait_for_rows(64));
  const Answer refused = post("/internal/experts", body);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.error("code"), "too_many_calls");
  clients.front().reset();
  EXPECT_TRUE(wait_for_rows(63));
  EXPECT_EQ(post("/internal/experts", R"({"token_id":1,"calls":[{"name":"A","instance":"expert-0","slots":[[0,1]]}]})").status, 200);
}

TEST_F(HttpFrontTest, PipelinedRequestsAreAnsweredInTurn) {
  // The end of one answer begins the next request inside it.
  const net::UniqueFd fd = connected();
  constexpr std::size_t kRequests = 30;  // enough to make the table of generations grow at some answer's end
  std::string requests;
  const std::string body = chat();
  for (std::size_t i = 0; i < kRequests; ++i)
    requests += fmt::format("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
  send_all(fd, requests);
  for (std::size_t i = 1; i <= kRequests; ++i) {
    const auto request = engine_.wait_for_request(i);
    ASSERT_TRUE(request.sink) << i;
    end(request, FinishReason::kStop, fmt::format("answer-{};", i));
  }
  std::string received;
  std::array<char, 65536> some{};
  while (received.find(fmt::format("answer-{};", kRequests)) == std::string::npos) {
    pollfd readable{.fd = fd.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&readable, 1, 10000), 1);
    const ssize_t got = ::recv(fd.get(), some.data(), some.size(), 0);
    ASSERT_GT(got, 0);
    received.append(some.data(), static_cast<std::size_t>(got));
  }
  std::size_t at = 0;
  for (std::size_t i = 1; i <= kRequests; ++i) {
    at = received.find(fmt::format("answer-{};", i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST_F(HttpFrontTest, DrainsWhatRunsAndRefusesWhatComes) {
  StreamClient client(address_, "/v1/chat/completions", chat(R"("stream":true)"));
  auto engine_side = std::async(std::launch::async, [&] { return engine_.wait_for_request(1); });
  ASSERT_TRUE(client.wait([&] { return engine_side.wait_for(Seconds(0)) == std::future_status::ready; }));
  const auto request = engine_side.get();
  ASSERT_TRUE(request.sink);
  std::promise<void> drained;
  auto done = drained.get_future();
  front_->call([&] { front_->value().drain(Seconds(30), [&] { drained.set_value(); }); });
  say(request, "still ");
  ASSERT_TRUE(client.wait_for_text("still"));
  EXPECT_EQ(done.wait_for(Seconds(0)), std::future_status::timeout);
  say(request, "here");
  end(request);
  ASSERT_TRUE(client.wait_for_end());
  EXPECT_TRUE(client.body().ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(done.wait_for(Seconds(10)), std::future_status::ready);
}

TEST_F(HttpFrontTest, CutsOffWhatMissesTheDrainDeadline) {
  StreamClient client(address_, "/v1/chat/completions", chat(R"("stream":true)"));
  auto engine_side = std::async(std::launch::async, [&] { return engine_.wait_for_request(1); });
  ASSERT_TRUE(client.wait([&] { return engine_side.wait_for(Seconds(0)) == std::future_status::ready; }));
  const auto request = engine_side.get();
  ASSERT_TRUE(request.sink);
  say(request, "a");
  ASSERT_TRUE(client.wait_for_text("\"a\""));
  std::promise<void> drained;
  front_->call([&] { front_->value().drain(Milliseconds(20), [&] { drained.set_value(); }); });
  EXPECT_TRUE(engine_.wait_for_cancel(request.request.id));
  ASSERT_TRUE(client.wait_for_end());
  EXPECT_TRUE(client.error()) << "a stream that was cut off must not look whole";
  EXPECT_EQ(drained.get_future().wait_for(Seconds(10)), std::future_status::ready);
}

}  // namespace
}  // namespace flexpert::engine
