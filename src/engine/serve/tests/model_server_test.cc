#include "engine/serve/model_server.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/expert/expert_server.h"
#include "engine/serve/pack_cache.h"
#include "engine/serve/tests/served.h"

namespace flexpert::engine {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

const std::string kModelFolder = FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe";

json::value read_json(const std::string& path) {
  std::ifstream file(path);
  return json::parse(std::string((std::istreambuf_iterator<char>(file)), {}));
}

/// The whole server with the shipped model, shared by the tests of this file.
class ModelServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cache_ = new fs::path(fs::path(testing::TempDir()) / fmt::format("flexpert_model_server_{}", ::getpid()));
    server_ = new OnLoop<ModelServer>([](net::EventLoop& loop) {
      static const SystemClock clock;
      ModelServerOptions options;
      options.model_folder = kModelFolder;
      options.cache_folder = cache_->string();
      options.engine.threads = 2;
      auto server = ModelServer::create(loop, options, clock);
      EXPECT_TRUE(server) << server.error().message;
      return server ? std::move(*server) : nullptr;
    });
    server_->call([] {
      auto address = server_->value().listen(*net::Address::parse("127.0.0.1:0"));
      ASSERT_TRUE(address) << address.error().message;
      address_ = new net::Address(*address);
    });
    goldens_ = new json::value(read_json(kModelFolder + "/goldens/golden_generate.json"));
  }
  static void TearDownTestSuite() {
    delete server_;
    fs::remove_all(*cache_);
    delete cache_;
    delete address_;
    delete goldens_;
  }

  static Answer post(const std::string& path, const std::string& body) { return call(*address_, "POST", path, body); }
  static const json::array& cases() { return goldens_->at("cases").as_array(); }
  static std::string chat(const json::value& golden, std::string_view fields) {
    return fmt::format(R"({{"model":"flexpert-tiny-moe","messages":{},{}}})", json::serialize(golden.at("messages")), fields);
  }
  static std::string text_of(const Answer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    if (answer.status != 200) return {};
    return std::string(answer.json().at("choices").at(0).at("message").at("content").get_string());
  }
  static std::string text_of_stream(const Answer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    std::string text;
    for (const json::value& event : answer.events()) {
      const json::array& choices = event.at("choices").as_array();
      if (choices.empty()) continue;
      if (const auto* content = choices[0].at("delta").as_object().if_contains("content")) text += content->get_string();
    }
    return text;
  }
  static std::string golden_answer(const json::value& golden) { return std::string(golden.at("answer").get_string()); }

  static fs::path* cache_;
  static OnLoop<ModelServer>* server_;
  static net::Address* address_;
  static json::value* goldens_;
};
fs::path* ModelServerTest::cache_ = nullptr;
OnLoop<ModelServer>* ModelServerTest::server_ = nullptr;
net::Address* ModelServerTest::address_ = nullptr;
json::value* ModelServerTest::goldens_ = nullptr;

TEST_F(ModelServerTest, AnswersEveryGoldenChat) {
  std::vector<std::future<Answer>> answers;
  for (const json::value& golden : cases())
    answers.push_back(call_async(*address_, "POST", "/v1/chat/completions", chat(golden, R"("temperature":0,"max_tokens":64)")));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const json::value& golden = cases()[i];
    const Answer answer = answers[i].get();
    EXPECT_EQ(text_of(answer), golden_answer(golden)) << "case " << i;
    const json::value body = answer.json();
    const bool stopped = !golden.at("eos_index").is_null();
    EXPECT_EQ(body.at("choices").at(0).at("finish_reason"), stopped ? "stop" : "length");
    EXPECT_EQ(body.at("usage").at("prompt_tokens").to_number<std::size_t>(), golden.at("prompt_ids").as_array().size());
    const auto completion_tokens = body.at("usage").at("completion_tokens").to_number<std::size_t>();
    EXPECT_EQ(completion_tokens, stopped ? golden.at("eos_index").to_number<std::size_t>() + 1 : 64) << "the end token counts";
    EXPECT_EQ(answer.body.find("<|im_end|>"), std::string::npos);
  }
}

TEST_F(ModelServerTest, StreamsWhatItAnswersWhole) {
  std::vector<std::future<Answer>> streams;
  for (const json::value& golden : cases())
    streams.push_back(call_async(*address_, "POST", "/v1/chat/completions",
                                 chat(golden, R"("temperature":0,"max_tokens":64,"stream":true,"stream_options":{"include_usage":true})")));
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const Answer stream = streams[i].get();
    EXPECT_EQ(text_of_stream(stream), golden_answer(cases()[i])) << "case " << i;
    EXPECT_TRUE(stream.body.ends_with("data: [DONE]\n\n"));
    EXPECT_EQ(stream.events().back().at("usage").at("prompt_tokens").to_number<std::size_t>(), cases()[i].at("prompt_ids").as_array().size());
  }
}

TEST_F(ModelServerTest, DependsOnTheSeedAlone) {
  const std::string seven = chat(cases()[12], R"("temperature":0.8,"max_tokens":40,"seed":7)");
  const std::string once = text_of(post("/v1/chat/completions", seven));
  auto beside = call_async(*address_, "POST", "/v1/chat/completions", chat(cases()[3], R"("temperature":0.8,"max_tokens":40,"seed":9)"));
  EXPECT_EQ(text_of(post("/v1/chat/completions", seven)), once);
  EXPECT_NE(text_of(post("/v1/chat/completions", chat(cases()[12], R"("temperature":0.8,"max_tokens":40,"seed":8)"))), once);
  EXPECT_EQ(beside.get().status, 200);
}

TEST_F(ModelServerTest, CompletesTheGoldenTokensPastTheEnd) {
  const json::value& golden = cases()[6];
  const Answer answer = post("/v1/completions", fmt::format(R"({{"model":"flexpert-tiny-moe","prompt":{},"temperature":0,"max_tokens":64,"ignore_eos":true}})",
                                                            json::serialize(golden.at("prompt_ids"))));
  const json::value body = answer.json();
  EXPECT_EQ(body.at("usage").at("completion_tokens"), 64);
  EXPECT_EQ(body.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_TRUE(std::string(body.at("choices").at(0).at("text").get_string()).starts_with(golden_answer(golden)));
}

TEST_F(ModelServerTest, EndsBeforeAStopText) {
  const std::string whole = golden_answer(cases()[0]);
  const std::string stop = "file.\\n\\n    The";  // spans several tokens
  const std::string plain = "file.\n\n    The";
  const std::size_t at = whole.find(plain);
  ASSERT_NE(at, std::string::npos);
  const std::string fields = fmt::format(R"("temperature":0,"max_tokens":64,"stop":["never","{}"])", stop);
  const Answer answer = post("/v1/chat/completions", chat(cases()[0], fields));
  EXPECT_EQ(text_of(answer), whole.substr(0, at));
  EXPECT_EQ(answer.json().at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(text_of_stream(post("/v1/chat/completions", chat(cases()[0], fields + R"(,"stream":true)"))), whole.substr(0, at));
}

TEST_F(ModelServerTest, GivesLogprobsThatFitTheGoldenMargins) {
  const json::value& golden = cases()[0];
  const std::string fields = R"("temperature":0,"max_tokens":20,"logprobs":true,"top_logprobs":2)";
  const Answer answer = post("/v1/chat/completions", chat(golden, fields));
  const json::value body = answer.json();
  const json::array& content = body.at("choices").at(0).at("logprobs").at("content").as_array();
  ASSERT_EQ(content.size(), 20U);
  for (std::size_t i = 0; i < content.size(); ++i) {
    const json::array& top = content[i].at("top_logprobs").as_array();
    ASSERT_EQ(top.size(), 2U);
    EXPECT_EQ(top[0].at("token"), content[i].at("token")) << "greedy takes the best";
    EXPECT_LE(content[i].at("logprob").to_number<double>(), 0);
    const double margin = top[0].at("logprob").to_number<double>() - top[1].at("logprob").to_number<double>();
    EXPECT_NEAR(margin, golden.at("margins").at(i).to_number<double>(), 2e-3) << "token " << i;
  }
  std::size_t streamed = 0;
  for (const json::value& event : post("/v1/chat/completions", chat(golden, fields + R"(,"stream":true)")).events()) {
    const json::value& logprobs = event.at("choices").at(0).at("logprobs");
    if (!logprobs.is_null()) streamed += logprobs.at("content").as_array().size();
  }
  EXPECT_EQ(streamed, 20U);
}

TEST_F(ModelServerTest, FreesWhatAClientThatWentAwayHeld) {
  StreamClient client(*address_, "/v1/chat/completions", chat(cases()[0], R"("stream":true,"ignore_eos":true,"temperature":0)"));
  ASSERT_TRUE(client.wait_for_text("content"));
  client.go_away();
  json::value status;
  const auto until = std::chrono::steady_clock::now() + Seconds(10);
  do {
    status = call(*address_, "GET", "/internal/status").json();
  } while ((status.at("running") != 0 || status.at("kv_blocks_used") != 0) && std::chrono::steady_clock::now() < until);
  EXPECT_EQ(status.at("running"), 0);
  EXPECT_EQ(status.at("kv_blocks_used"), 0);
  EXPECT_EQ(status.at("queued"), 0);
}

TEST_F(ModelServerTest, SaysTheNumbersWhenTheContextIsTooLong) {
  const Answer answer = post("/v1/chat/completions", chat(cases()[0], R"("max_tokens":1024)"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("code"), "context_length_exceeded");
  EXPECT_NE(answer.error("message").find("1024 tokens. However, you requested 17 tokens in the messages and 1024"), std::string::npos)
      << answer.error("message");
}

TEST_F(ModelServerTest, CountsExpertLoadsOfEveryLayer) {
  text_of(post("/v1/chat/completions", chat(cases()[0], R"("max_tokens":4)")));
  const json::value loads = call(*address_, "GET", "/internal/expert-loads").json();
  ASSERT_EQ(loads.at("rows").as_array().size(), 6U * 32U);
  const auto tokens = loads.at("tokens").to_number<std::uint64_t>();
  EXPECT_GE(tokens, 20U);
  for (std::size_t layer = 0; layer < 6; ++layer) {
    std::uint64_t rows = 0;
    for (std::size_t expert = 0; expert < 32; ++expert) rows += loads.at("rows").at(layer * 32 + expert).to_number<std::uint64_t>();
    EXPECT_EQ(rows, 4 * tokens) << "layer " << layer;
  }
}

/// A table that gives every slot to all of `endpoints` ({"id","address"} objects), newer than the current one.
std::string table_over(const net::Address& server, const json::array& endpoints, std::uint64_t& epoch) {
  epoch = call(server, "GET", "/internal/status").json().at("epoch").to_number<std::uint64_t>() + 1;
  json::array all;
  for (std::size_t i = 0; i < endpoints.size(); ++i) all.emplace_back(i);
  const json::array replicas(6 * 32, all);
  return json::serialize(json::object{{"epoch", epoch}, {"layers", 6}, {"experts", 32}, {"endpoints", endpoints}, {"replicas", replicas}});
}

TEST_F(ModelServerTest, GoesOnWhenItsExpertServersAreNotThere) {
  std::uint64_t epoch = 0;
  const std::string table = table_over(*address_, {json::object{{"id", "expert-0"}, {"address", fmt::format("unix:{}/nobody.sock", cache_->string())}}}, epoch);
  Answer answer = call(*address_, "PUT", "/internal/routing-table", table);
  EXPECT_EQ(answer.body, fmt::format("{{\"epoch\":{}}}", epoch));
  EXPECT_EQ(text_of(post("/v1/chat/completions", chat(cases()[18], R"("temperature":0,"max_tokens":64)"))), golden_answer(cases()[18]));
  answer = post("/internal/experts", R"({"token_id":101,"timeout_ms":1000,"calls":[{"name":"A","instance":"expert-0","slots":[[0,7]]}]})");
  EXPECT_EQ(answer.status, 502) << answer.body;
  EXPECT_EQ(answer.error("code"), "call A");
  answer = post("/internal/experts", R"({"token_id":101,"calls":[{"name":"B","instance":"expert-9","slots":[[0,7]]}]})");
  EXPECT_EQ(answer.status, 404) << answer.body;
  std::uint64_t newer = 0;
  EXPECT_EQ(call(*address_, "PUT", "/internal/routing-table", table_over(*address_, {}, newer)).status, 200);
  EXPECT_EQ(call(*address_, "PUT", "/internal/routing-table", table).status, 409) << "an older table";
}

TEST_F(ModelServerTest, UsesRealExpertServers) {
  const SystemClock clock;
  telemetry::Registry metrics;
  const auto checkpoint = Checkpoint::open(kModelFolder);
  ASSERT_TRUE(checkpoint);
  const auto pack = open_pack(**checkpoint, "", cache_->string());
  ASSERT_TRUE(pack) << pack.error().message;
  const auto start = [&](const std::string& id) {
    return std::make_unique<OnLoop<ExpertServer>>([&](net::EventLoop& loop) {
      auto server = ExpertServer::start(
          loop, *pack, {.listen = *net::Address::parse(fmt::format("unix:{}/{}.sock", cache_->string(), id)), .instance = InstanceId{id}}, metrics, clock);
      EXPECT_TRUE(server) << server.error().message;
      return server ? std::move(*server) : nullptr;
    });
  };
  auto first = start("expert-0");
  auto second = start("expert-1");
  json::array endpoints;
  for (const char* id : {"expert-0", "expert-1"}) endpoints.push_back(json::object{{"id", id}, {"address", fmt::format("unix:{}/{}.sock", cache_->string(), id)}});
  std::uint64_t epoch = 0;
  ASSERT_EQ(call(*address_, "PUT", "/internal/routing-table", table_over(*address_, endpoints, epoch)).status, 200);

  const auto run_on = [&](std::string_view instance) {
    return post("/internal/experts", fmt::format(R"({{"token_id":101,"calls":[{{"name":"A","instance":"{}","slots":[[0,7],[5,31]]}}],"timeout_ms":30000}})", instance));
  };
  const Answer on_first = run_on("expert-0");
  ASSERT_EQ(on_first.status, 200) << on_first.body;
  EXPECT_GT(on_first.json().at("calls").at(0).at("latency_ms").to_number<double>(), 0);
  EXPECT_EQ(run_on("expert-1").json().at("output_digest"), on_first.json().at("output_digest")) << "replicas give the same bits";

  EXPECT_EQ(text_of(post("/v1/chat/completions", chat(cases()[7], R"("temperature":0,"max_tokens":64)"))), golden_answer(cases()[7]));
  std::uint64_t rows = 0;
  first->call([&] { rows += first->value().stats().rows; });
  second->call([&] { rows += second->value().stats().rows; });
  EXPECT_GT(rows, 100U) << "the expert servers did the work";

  // One that hangs delays neither chats nor calls of others, and its own calls end in time.
  std::promise<void> hung;
  std::promise<void> released;
  auto hanging = std::async(std::launch::async, [&] {
    first->call([&] {
      hung.set_value();
      released.get_future().wait();
    });
  });
  hung.get_future().wait();
  auto patient = std::async(std::launch::async, [&] { return run_on("expert-0"); });
  EXPECT_EQ(text_of(post("/v1/chat/completions", chat(cases()[7], R"("temperature":0,"max_tokens":64)"))), golden_answer(cases()[7]));
  EXPECT_EQ(run_on("expert-1").json().at("output_digest"), on_first.json().at("output_digest"));
  const Answer late = post("/internal/experts", R"({"token_id":101,"timeout_ms":100,"calls":[{"name":"L","instance":"expert-0","slots":[[0,7]]}]})");
  EXPECT_EQ(late.status, 504) << late.body;
  EXPECT_EQ(late.error("code"), "call L");
  EXPECT_EQ(patient.wait_for(Seconds(0)), std::future_status::timeout) << "all that was while it hung";
  released.set_value();
  EXPECT_EQ(patient.get().json().at("output_digest"), on_first.json().at("output_digest"));
  hanging.wait();

  first.reset();  // a server that is gone is no failure of a chat
  EXPECT_EQ(text_of(post("/v1/chat/completions", chat(cases()[7], R"("temperature":0,"max_tokens":64)"))), golden_answer(cases()[7]));
  EXPECT_EQ(run_on("expert-0").status, 502);
  EXPECT_EQ(call(*address_, "PUT", "/internal/routing-table", table_over(*address_, {}, epoch)).status, 200);
}

}  // namespace
}  // namespace flexpert::engine
