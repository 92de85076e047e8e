#include "engine/serve/http_front.h"

#include <array>
#include <atomic>
#include <map>

#include <poll.h>
#include <sys/socket.h>

#include "crypto/digest.h"
#include "engine/serve/tests/fake_engine.h"
#include "engine/serve/tests/served.h"
#include "net/socket.h"

namespace flexpert::engine {
namespace {

namespace json = boost::json;

const std::string kModelFolder = FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe";

/// The HTTP front over a fake engine, with the real tokenizer and chat template.
/// Instances that multiply a row by the expert's number; "dead" fails, "hung" never answers. The loop's thread.
class FakeRows final : public InstanceRows {
 public:
  net::EventLoop* loop = nullptr;
  std::atomic<std::size_t> waiting = 0;  ///< rows not answered yet

  RowId run(const ExpertEndpoint& instance, ExpertSlot slot, std::span<const float> row, Done done) override {
    const RowId id = ++last_;
    waiting_.emplace(id, std::move(done));
    waiting = waiting_.size();
    if (instance.id.value == "hung") return id;
    std::vector<float> out(row.begin(), row.end());
    for (float& value : out) value *= static_cast<float>(slot.expert);
    Result<std::vector<float>> result = std::move(out);
    if (instance.id.value == "dead") result = fail(ErrorCode::kUnavailable, "connection closed");
    loop->post([this, id, result = std::move(result)] {
      auto node = waiting_.extract(id);
      waiting = waiting_.size();
      if (!node.empty()) node.mapped()(result);
    });
    return id;
  }
  void cancel(RowId id) override {
    waiting_.erase(id);
    waiting = waiting_.size();
  }
  void keep_only(std::span<const ExpertEndpoint>) override {}

 private:
  RowId last_ = 0;
  std::map<RowId, Done> waiting_;
};

class HttpFrontTest : public testing::Test {
 protected:
  HttpFrontTest() {
    auto tokenizer = Tokenizer::open(kModelFolder);
    auto chat_template = ChatTemplate::open(kModelFolder);
    EXPECT_TRUE(tokenizer && chat_template);
    tokenizer_ = *tokenizer;
    chat_template_ = *chat_template;
    front_ = std::make_unique<OnLoop<HttpFront>>([&](net::EventLoop& loop) {
      rows_.loop = &loop;
      ServedModel model{.name = "tiny", .fingerprint = "ab12", .engine = engine_, .tokenizer = *tokenizer_, .chat_template = *chat_template_,
                        .experts = {.set_routing_table = [this](auto table) { return set_table(table); }, .rows = rows_},
                        .metrics = registry_, .clock = clock_, .kv_block_tokens = 16, .paced = true};
      return std::make_unique<HttpFront>(loop, std::move(model), http::ServerLimits{.max_body_bytes = 100000});
    });
    front_->call([&] {
      auto address = front_->value().listen(*net::Address::parse("127.0.0.1:0"));
      ASSERT_TRUE(address) << address.error().message;
      address_ = *address;
    });
  }

  Result<void> set_table(const std::shared_ptr<const RoutingTable>& table) {
    if (table->epoch < epoch_) return fail(ErrorCode::kFailedPrecondition, "older epoch: {} after {}", table->epoch, epoch_);
    epoch_ = table->epoch;
    return {};
  }

  /// Gives all slots but the last layer's expert 0 to expert-0, dead and hung.
  void put_instances() {
    const Answer answer = call(address_, "PUT", "/internal/routing-table",
                               R"({"epoch":1,"layers":2,"experts":4,"endpoints":[{"id":"expert-0","address":"unix:/tmp/a"},{"id":"dead","address":"unix:/tmp/b"},)"
                               R"({"id":"hung","address":"unix:/tmp/c"}],"replicas":[[0,1,2],[0,1,2],[0,1,2],[0,1,2],[1],[0,1],[0,1],[0,1]]})");
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  [[nodiscard]] net::UniqueFd connected() const {
    auto fd = net::start_connect(address_);
    EXPECT_TRUE(fd) << fd.error().message;
    pollfd writable{.fd = fd->get(), .events = POLLOUT, .revents = 0};
    EXPECT_EQ(::poll(&writable, 1, 10000), 1);
    return std::move(*fd);
  }
  static void send_all(const net::UniqueFd& fd, const std::string& bytes) {
    EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  Answer get(const std::string& path) { return call(address_, "GET", path); }
  Answer post(const std::string& path, const std::string& body) { return call(address_, "POST", path, body); }
  static std::string chat(std::string_view fields = "\"seed\":1") {
    return fmt::format(R"({{"model":"tiny","messages":[{{"role":"user","content":"hi"}}],{}}})", fields);
  }
  static void say(const FakeEngine::Submitted& request, std::string text, TokenId token = 5) { request.sink->on_token({.token = token, .text = std::move(text), .logprob = std::nullopt, .top = {}}); }
  static void end(const FakeEngine::Submitted& request, FinishReason reason = FinishReason::kStop, std::string text = {}) {
    request.sink->on_finish(reason, std::move(text), {.prompt_tokens = 9, .completion_tokens = 2}, std::nullopt);
  }

  FakeEngine engine_;
  FakeRows rows_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> chat_template_;
  telemetry::Registry registry_;
  SystemClock clock_;
  std::uint64_t epoch_ = 0;
  net::Address address_;
  std::unique_ptr<OnLoop<HttpFront>> front_;
};

TEST_F(HttpFrontTest, AnswersAChat) {
  auto waiting = call_async(address_, "POST", "/v1/chat/completions", chat(R"("seed":7,"temperature":0.5,"top_p":0.9,"top_k":3,"max_tokens":20,"stop":"x")"));
  const auto request = engine_.wait_for_request(1);
  ASSERT_TRUE(request.sink);
  EXPECT_EQ(request.request.prompt, tokenizer_->encode("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_EQ(request.request.sampling.seed, 7U);
  EXPECT_EQ(request.request.sampling.temperature, 0.5F);
  EXPECT_EQ(request.request.sampling.top_k, 3U);
  EXPECT_EQ(request.request.max_tokens, 20U);
  EXPECT_EQ(request.request.stop, std::vector<std::string>{"x"});
  say(request, "Hel");
  say(request, "lo");
  end(request, FinishReason::kLength, "!");
  const Answer answer = waiting.get();
  EXPECT_EQ(answer.status, 200);
  const json::value body = answer.json();
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content"), "Hello!");
  EXPECT_EQ(body.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(body.at("usage"), json::parse(R"({"prompt_tokens":9,"completion_tokens":2,"total_tokens":11})"));
  EXPECT_EQ(body.at("id"), json::string(request.request.id));
  EXPECT_TRUE(request.request.id.starts_with("chatcmpl-"));
  EXPECT_EQ(body.at("model"), "tiny");
  EXPECT_NEAR(body.at("created").to_number<double>(), static_cast<double>(clock_.unix_ms()) / 1000, 60);
}

TEST_F(HttpFrontTest, StreamsTokensAsTheyCome) {
  StreamClient client(address_, "/v1/chat/completions", chat(R"("stream":true,"stream_options":{"include_usage":true})"));
  auto engine_side = std::async(std::launch::async, [&] { return engine_.wait_for_request(1); });
  ASSERT_TRUE(client.wait([&] { return engine_side.wait_for(Seconds(0)) == std::future_status::ready; }));
  const auto request = engine_side.get();
  ASSERT_TRUE(request.sink);
  EXPECT_TRUE(client.body().empty()) << "the head goes out with the first token";
  say(request, "Hel");
  ASSERT_TRUE(client.wait_for_text("Hel"));
  EXPECT_EQ(client.status(), 200);
  EXPECT_FALSE(client.ended());
  say(request, "");
  say(request, "lo");
  ASSERT_TRUE(client.wait_for_text("lo"));
  end(request, FinishReason::kStop, "!");
  ASSERT_TRUE(client.wait_for_end());
  EXPECT_FALSE(client.error());

  const Answer answer{.status = 200, .headers = {}, .body = client.body()};
  EXPECT_TRUE(answer.body.ends_with("data: [DONE]\n\n"));
  const auto events = answer.events();
  ASSERT_EQ(events.size(), 6U) << answer.body;
  EXPECT_EQ(events[0].at("choices").at(0).at("delta"), json::parse(R"({"role":"assistant","content":""})"));
  std::string text;
  for (std::size_t i = 1; i < 4; ++i) text += events[i].at("choices").at(0).at("delta").at("content").get_string();
  EXPECT_EQ(text, "Hello!");
  EXPECT_EQ(events[4].at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(events[5].at("usage").at("total_tokens"), 11);
  EXPECT_TRUE(events[5].at("choices").get_array().empty());
}

TEST_F(HttpFrontTest, AnswersATextCompletionFromTokens) {
  auto waiting = call_async(address_, "POST", "/v1/completions", R"({"model":"tiny","prompt":[5,6,7],"logprobs":1})");
  const auto request = engine_.wait_for_request(1);
  ASSERT_TRUE(request.sink);
  EXPECT_EQ(request.request.prompt, (std::vector<TokenId>{5, 6, 7}));
  EXPECT_EQ(request.request.max_tokens, 16U);
  EXPECT_EQ(request.request.sampling.top_logprobs, 1U);
  const TokenId a = tokenizer_->encode("a")[0];
  const TokenId b = tokenizer_->encode("b")[0];
  request.sink->on_token({.token = a, .text = "a", .logprob = -0.25F, .top = {{a, -0.25F}, {b, -2.0F}}});
  request.sink->on_token({.token = 2047, .text = "", .logprob = -0.5F, .top = {}});
  end(request);
  const json::value body = waiting.get().json();
  EXPECT_EQ(body.at("object"), "text_completion");
  const json::value& choice = body.at("choices").at(0);
  EXPECT_EQ(choice.at("text"), "a");
  EXPECT_EQ(choice.at("logprobs").at("tokens"), json::parse(R"(["a"])")) << "the end token is not part of the answer";
  EXPECT_EQ(choice.at("logprobs").at("top_logprobs").at(0).at("b").to_number<double>(), -2.0);
  EXPECT_TRUE(std::string(body.at("id").get_string()).starts_with("cmpl-"));
}

TEST_F(HttpFrontTest, CancelsWhenAStreamingClientGoesAway) {
  auto client = std::make_unique<StreamClient>(address_, "/v1/chat/completions", chat(R"("stream":true)"));
  auto engine_side = std::async(std::launch::async, [&] { return engine_.wait_for_request(1); });
  ASSERT_TRUE(client->wait([&] { return engine_side.wait_for(Seconds(0)) == std::future_status::ready; }));
  const auto request = engine_side.get();
  ASSERT_TRUE(request.sink);
  say(request, "word");
  ASSERT_TRUE(client->wait_for_text("word"));
  client->go_away();
  EXPECT_TRUE(engine_.wait_for_cancel(request.request.id));
  say(request, "more");  // news of a request that is gone is dropped
  end(request, FinishReason::kCancelled);
  front_->call([] {});
  EXPECT_NE(get("/metrics").body.find(R"(flexpert_http_requests_total{route="/v1/chat/completions",status="499"} 1)"), std::string::npos);
}

TEST_F(HttpFrontTest, CancelsWhenAWaitingClientGoesAway) {
  auto client = std::make_unique<StreamClient>(address_, "/v1/completions", R"({"model":"tiny","prompt":"a"})");
  auto engine_side = std::async(std::launch::async, [&] { return engine_.wait_for_request(1); });
  ASSERT_TRUE(client->wait([&] { return engine_side.wait_for(Seconds(0)) == std::future_status::ready; }));
  const auto request = engine_side.get();
  client->go_away();
  EXPECT_TRUE(engine_.wait_for_cancel(request.request.id));
}

TEST_F(HttpFrontTest, RefusesWithOpenAisErrors) {
  Answer answer = post("/v1/chat/completions", "{nope");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("code"), "invalid_json");

  answer = post("/v1/chat/completions", R"({"model":"other","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.error("code"), "model_not_found");
  EXPECT_EQ(answer.error("param"), "model");

  answer = post("/v1/chat/completions", chat(R"("temperature":9)"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("param"), "temperature");

  answer = post("/v1/chat/completions", R"({"model":"tiny","messages":[{"role":"wizard","content":"hi"}]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("param"), "messages");

  answer = post("/v1/completions", R"({"model":"tiny","prompt":[5,2048]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("param"), "prompt[1]");

  answer = post("/v1/completions", std::string(200000, 'x'));
  EXPECT_EQ(answer.status, 413);

  answer = get("/v2/nothing");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.error("code"), "unknown_url");

  answer = get("/v1/models/other");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.error("code"), "model_not_found");
  EXPECT_EQ(get("/v1/models/tiny").status, 200);

  answer = get("/v1/chat/completions");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.find("Allow"), "POST");
  answer = call(address_, "DELETE", "/internal/routing-table");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.find("Allow"), "GET, PUT");
}

TEST_F(HttpFrontTest, RefusesWhatDoesNotFitAndSaysTheNumbers) {
  // The KV cache holds 8 blocks of 16 tokens, which is less than the model's context.
  Answer answer = post("/v1/completions", R"({"model":"tiny","prompt":[1,2,3],"max_tokens":126})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("code"), "context_length_exceeded");
  EXPECT_NE(answer.error("message").find("maximum context length is 128 tokens"), std::string::npos);
  EXPECT_NE(answer.error("message").find("3 tokens in the prompt and 126 in the completion"), std::string::npos);

  std::string many;
  for (int i = 0; i < 128; ++i) many += i == 0 ? "1" : ",1";
  answer = post("/v1/completions", fmt::format(R"({{"model":"tiny","prompt":[{}]}})", many));
  EXPECT_EQ(answer.error("code"), "context_length_exceeded");

  answer = post("/v1/completions", fmt::format(R"({{"model":"tiny","prompt":"{}"}})", std::string(90000, 'x')));
  EXPECT_EQ(answer.error("code"), "context_length_exceeded");
}

TEST_F(HttpFrontTest, GivesAChatTheRestOfTheContextByDefault) {
  auto waiting = call_async(address_, "POST", "/v1/chat/completions", chat());
  const auto request = engine_.wait_for_request(1);
  ASSERT_TRUE(request.sink);
  EXPECT_EQ(request.request.max_tokens + request.request.prompt.size(), 128U);
  end(request);
  waiting.wait();
}

TEST_F(HttpFrontTest, TellsAFullQueueToComeBack) {
  engine_.refuse_with = Error{ErrorCode::kResourceExhausted, "the queue is full: 1024 requests wait"};
  const Answer answer = post("/v1/chat/completions", chat());
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.headers.find("Retry-After"), "1");
  EXPECT_EQ(answer.error("code"), "queue_full");
}

TEST_F(HttpFrontTest, ReportsAnEngineFailureBeforeAndAfterTheFirstToken) {
  auto waiting = call_async(address_, "POST", "/v1/chat/completions", chat(R"("stream":true)"));
  auto request = engine_.wait_for_request(1);
  ASSERT_TRUE(request.sink);
  request.sink->on_finish(FinishReason::kError, "", {}, Error{ErrorCode::kInternal, "it broke"});
  Answer answer = waiting.get();
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.error("message"), "it broke");

  waiting = call_async(address_, "POST", "/v1/chat/completions", chat(R"("stream":true)"));
  request = engine_.wait_for_request(2);
  ASSERT_TRUE(request.sink);
  say(request, "a");
  request.sink->on_finish(FinishReason::kError, "", {}, Error{ErrorCode::kInternal, "it broke"});
  answer = waiting.get();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body.find("[DONE]"), std::string::npos);
  const auto events = answer.events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().at("error").at("message"), "it broke");
}

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

TEST_F(HttpFrontTest, DrawsADifferentSeedForEachRequest) {
  auto first = call_async(address_, "POST", "/v1/chat/completions", chat(R"("user":"a")"));
  const auto one = engine_.wait_for_request(1);
  auto second = call_async(address_, "POST", "/v1/chat/completions", chat(R"("user":"a")"));
  const auto two = engine_.wait_for_request(2);
  ASSERT_TRUE(one.sink && two.sink);
  EXPECT_NE(one.request.sampling.seed, two.request.sampling.seed);
  EXPECT_NE(one.request.id, two.request.id);
  end(one);
  end(two);
  EXPECT_EQ(first.get().status, 200);
  EXPECT_EQ(second.get().status, 200);
}

}  // namespace
}  // namespace flexpert::engine
