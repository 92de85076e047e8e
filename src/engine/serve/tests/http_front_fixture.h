#pragma once


#include <atomic>
#include <map>

#include <poll.h>
#include <sys/socket.h>

#include "engine/serve/http_front.h"
#include "engine/serve/tests/fake_engine.h"
#include "engine/serve/tests/served.h"
#include "net/socket.h"

namespace flexpert::engine {

inline const std::string kModelFolder = FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe";

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

/// The HTTP front over a fake engine, with the real tokenizer and chat template.
class HttpFrontTest : public testing::Test {
 protected:
  /// `secret` empty: requests need no grant.
  explicit HttpFrontTest(const std::string& secret = {}) {
    auto tokenizer = Tokenizer::open(kModelFolder);
    auto chat_template = ChatTemplate::open(kModelFolder);
    EXPECT_TRUE(tokenizer && chat_template);
    tokenizer_ = *tokenizer;
    chat_template_ = *chat_template;
    front_ = std::make_unique<OnLoop<HttpFront>>([&](net::EventLoop& loop) {
      rows_.loop = &loop;
      ServedModel model{.name = "tiny", .fingerprint = "ab12", .engine = engine_, .tokenizer = *tokenizer_, .chat_template = *chat_template_,
                        .experts = {.set_routing_table = [this](auto table) { return set_table(table); }, .rows = rows_},
                        .metrics = registry_, .clock = clock_, .kv_block_tokens = 16, .paced = true, .internal_secret = secret};
      return std::make_unique<HttpFront>(loop, std::move(model), http::ServerLimits{.max_head_bytes = 100000, .max_body_bytes = 100000});
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

}  // namespace flexpert::engine
