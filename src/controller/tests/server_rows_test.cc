#include "controller/server_rows.h"

#include <unistd.h>

#include <cstring>
#include <map>

#include <sys/epoll.h>

#include <gtest/gtest.h>

#include "net/socket.h"
#include "net/stream.h"

namespace flexpert::controller {
namespace {

namespace wire = expert_protocol;

std::string_view text_of(const wire::Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// An expert server that greets anybody and answers stats with what the test says.
class FakeServer final : public net::FdHandler, public net::StreamHandler {
 public:
  FakeServer(net::EventLoop& loop, const std::string& path)
      : loop_(loop), address_(*net::Address::parse("unix:" + path)), listening_(*net::listen_on(address_)) {
    loop_.watch(listening_.get(), EPOLLIN, this);
  }
  ~FakeServer() override {
    loop_.unwatch(listening_.get());
    ::unlink(address_.to_string().substr(5).c_str());
  }
  [[nodiscard]] const net::Address& address() const { return address_; }

  wire::Stats stats;
  std::string instead;  ///< of an answer to stats; empty: the answer
  int asked = 0;

 private:
  void on_events(std::uint32_t) override {
    auto fd = net::accept_one(listening_.get());
    ASSERT_TRUE(fd);
    decoder_.clear();
    stream_ = std::make_unique<net::Stream>(loop_, std::move(*fd), this);
  }
  void on_bytes(std::string_view bytes) override {
    std::memcpy(decoder_.space(bytes.size()).data(), bytes.data(), bytes.size());
    decoder_.received(bytes.size());
    for (auto frame = decoder_.next(); frame && *frame; frame = decoder_.next()) {
      wire::Bytes out;
      if ((*frame)->type == wire::FrameType::kHello) {
        wire::HelloReply reply;
        reply.instance = "x";
        wire::encode(out, (*frame)->correlation, reply);
      } else if ((*frame)->type == wire::FrameType::kStats) {
        ++asked;
        if (!instead.empty()) return stream_->write(instead);
        wire::encode(out, (*frame)->correlation, stats);
      }
      stream_->write(text_of(out));
    }
  }
  void on_closed(const Error*) override {}

  net::EventLoop& loop_;
  net::Address address_;
  net::UniqueFd listening_;
  wire::FrameDecoder decoder_;
  std::unique_ptr<net::Stream> stream_;
};

class ServerRowsTest : public testing::Test {
 protected:
  template <class Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + Seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) loop_.run_once(Milliseconds(20));
    return condition();
  }
  void poll() {
    rows_.poll({{{"x"}, server_.address()}}, [this](const InstanceId& id, const std::vector<wire::SlotRows>& slots) {
      ++heard_;
      for (const wire::SlotRows& one : slots) seen_[{id.value, one.slot}] = one.rows;
    });
  }

  net::EventLoop loop_;
  FakeServer server_{loop_, "/tmp/flexpert-server-rows-" + std::to_string(::getpid()) + ".sock"};
  ServerRows rows_{loop_, {.model_fingerprint = "f", .model_epoch = 0, .kernel_identity = "k", .hidden = 8, .geometry = {2, 4}}};
  std::map<std::pair<std::string, ExpertSlot>, std::uint64_t> seen_;
  int heard_ = 0;
};

TEST_F(ServerRowsTest, TellsTheRowsOfEverySlotThatWasUsed) {
  server_.stats.slots = {{{0, 3}, 17}, {{1, 2}, 5}};
  poll();
  poll();  // one is under way
  ASSERT_TRUE(until([&] { return heard_ == 1; }));
  EXPECT_EQ(server_.asked, 1);
  EXPECT_EQ((seen_[{"x", {0, 3}}]), 17U);
  server_.stats.slots[0].rows = 18;
  poll();
  ASSERT_TRUE(until([&] { return heard_ == 2; }));
  EXPECT_EQ((seen_[{"x", {0, 3}}]), 18U);
}

TEST_F(ServerRowsTest, GarbageIsNoAnswerAndTheServerIsAskedAgain) {
  server_.instead = std::string(100, '?');
  poll();
  ASSERT_TRUE(until([&] { return server_.asked == 1; }));
  server_.instead.clear();
  ASSERT_TRUE(until([&] {
    poll();
    return heard_ > 0;
  }));
}

TEST_F(ServerRowsTest, AServerThatIsGoneIsNoAnswer) {
  rows_.poll({{{"gone"}, *net::Address::parse("unix:/tmp/flexpert-nobody-listens.sock")}}, [this](const InstanceId&, const auto&) { ++heard_; });
  poll();
  ASSERT_TRUE(until([&] { return heard_ == 1; }));
  EXPECT_EQ(seen_.size(), 0U);
}

}  // namespace
}  // namespace flexpert::controller
