#include "engine/expert/remote_experts.h"

#include <poll.h>
#include <sys/socket.h>

#include "engine/expert/tests/expert_fixture.h"
#include "engine/kernels/kernels.h"
#include "net/socket.h"

namespace flexpert::engine {
namespace {

namespace wire = expert_protocol;
using testing::full_table;
using testing::Layer;
using testing::make_pack;
using testing::metric;
using testing::ServerThread;
using testing::small_shape;
using testing::TemporaryFolder;

/// A server that accepts connections and batches and does with them what a test wants.
class FakeServer {
 public:
  enum class Behaviour { kCloseOnBatch, kNeverAnswer, kGarbageOnBatch, kAnswerWrongSize, kErrorOnBatch };

  FakeServer(const PackFile& pack, const std::string& path, Behaviour behaviour, const std::function<void(wire::HelloReply&)>& change = {})
      : behaviour_(behaviour) {
    hello_ = {pack.model_fingerprint(), 0, kernel_identity(), pack.hidden_size(), pack.geometry(), 0, "expert-0"};
    if (change) change(hello_);
    listener_ = std::move(*net::listen_on(*net::Address::parse("unix:" + path)));
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    stopping_ = true;
    thread_.join();
  }

 private:
  void serve() {
    while (!stopping_) {
      if (!readable(listener_.get())) continue;
      auto accepted = net::accept_one(listener_.get());
      if (accepted) converse(std::move(*accepted));
    }
  }
  static bool readable(int fd) {
    pollfd ready{fd, POLLIN, 0};
    return ::poll(&ready, 1, 10) == 1;
  }
  void converse(net::UniqueFd fd) {
    wire::FrameDecoder decoder;
    while (!stopping_) {
      if (!readable(fd.get())) continue;
      const auto space = decoder.space();
      const ssize_t got = ::recv(fd.get(), space.data(), space.size(), 0);
      if (got <= 0) return;
      decoder.received(static_cast<std::size_t>(got));
      for (auto frame = decoder.next(); frame && *frame; frame = decoder.next()) {
        wire::Bytes out;
        if ((*frame)->type == wire::FrameType::kHello) {
          wire::encode(out, (*frame)->correlation, hello_);
        } else if ((*frame)->type == wire::FrameType::kBatch) {
          if (behaviour_ == Behaviour::kCloseOnBatch) return;
          if (behaviour_ == Behaviour::kNeverAnswer) continue;
          if (behaviour_ == Behaviour::kGarbageOnBatch) out.assign(500, std::byte{42});
          if (behaviour_ == Behaviour::kErrorOnBatch) wire::encode(out, (*frame)->correlation, wire::WireError{ErrorCode::kInternal, "no"});
          if (behaviour_ == Behaviour::kAnswerWrongSize) {
            const auto open = wire::begin_result(out, (*frame)->correlation, 1, 1);
            open.floats[0] = 0;
            wire::finish_result(out, open, 1, 0);
          }
        }
        (void)::send(fd.get(), out.data(), out.size(), MSG_NOSIGNAL);
      }
    }
  }

  Behaviour behaviour_;
  wire::HelloReply hello_;
  net::UniqueFd listener_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

class RemoteExpertsTest : public ::testing::Test {
 protected:
  [[nodiscard]] ExpertServerOptions server_options(int index, const std::string& listen = {}, std::uint32_t threads = 1) const {
    ExpertServerOptions options;
    options.listen = *net::Address::parse(listen.empty() ? "unix:" + folder_.file("e" + std::to_string(index)) : listen);
    options.instance = InstanceId{"expert-" + std::to_string(index)};
    options.threads = threads;
    return options;
  }
  [[nodiscard]] std::string socket_path(int index) const { return folder_.file("e" + std::to_string(index)); }
  RemoteExperts remote(Duration batch_timeout = Seconds(10)) {
    return RemoteExperts(pack_, pool_, {.model_fingerprint = pack_->model_fingerprint(), .batch_timeout = batch_timeout}, metrics_, clock_);
  }
  std::vector<float> expected(Layer& layer) {
    LocalExperts local(pack_, pool_);
    return layer.run(local);
  }
  double counted(const std::string& name) { return metric(metrics_, "flexpert_remote_experts_" + name); }

  TemporaryFolder folder_;
  std::shared_ptr<const PackFile> pack_ = make_pack(folder_.file("p"));
  ComputePool pool_{2};
  SystemClock clock_;
  telemetry::Registry metrics_;
};

TEST_F(RemoteExpertsTest, WithoutATableEverythingIsComputedHere) {
  Layer layer(*pack_, 1, 9, 3);
  auto experts = remote();
  EXPECT_EQ(layer.run(experts), expected(layer));
  EXPECT_EQ(counted("local_rows_total"), layer.assignments());
}

TEST_F(RemoteExpertsTest, UnixAndTcpServersGiveTheSameBytes) {
  for (const std::string& listen : {std::string(), std::string("127.0.0.1:0")}) {
    for (const std::uint32_t threads : {1U, 2U}) {
      ServerThread first(pack_, server_options(0, listen, threads));
      ServerThread second(pack_, server_options(1, listen, threads));
      auto experts = remote();
      ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {first.address(), second.address()})));
      ASSERT_TRUE(experts.wait_connected(Seconds(5)));
      for (const std::uint32_t rows : {1U, 2U, 7U, 16U, 200U}) {
        Layer layer(*pack_, rows % 2, rows, rows);
        EXPECT_EQ(layer.run(experts), expected(layer)) << rows << " rows over " << first.address();
      }
      EXPECT_GT(first.stats().rows, 0U);
      EXPECT_GT(second.stats().rows, 0U);
    }
  }
  EXPECT_EQ(counted("fallback_rows_total"), 0);
  EXPECT_EQ(counted("failures_total"), 0);
  EXPECT_GT(counted("rows_total"), 0);
}

TEST_F(RemoteExpertsTest, SlotsWithoutReplicasAreComputedHereBesideTheOthers) {
  ServerThread server(pack_, server_options(0));
  RoutingTable table = *full_table(pack_->geometry(), {server.address()});
  for (std::size_t i = 0; i < table.replicas.size(); i += 2) table.replicas[i].clear();
  auto experts = remote();
  ASSERT_TRUE(experts.set_routing_table(std::make_shared<const RoutingTable>(table)));
  ASSERT_TRUE(experts.wait_connected(Seconds(5)));
  Layer layer(*pack_, 0, 20, 8);
  EXPECT_EQ(layer.run(experts), expected(layer));
  EXPECT_GT(counted("local_rows_total"), 0);
  EXPECT_GT(counted("rows_total"), 0);
  EXPECT_EQ(counted("local_rows_total") + counted("rows_total"), layer.assignments());
}

TEST_F(RemoteExpertsTest, AServerLostInTheMiddleOfABatchIsMadeUpFor) {
  using enum FakeServer::Behaviour;
  for (const auto behaviour : {kCloseOnBatch, kGarbageOnBatch, kAnswerWrongSize, kErrorOnBatch}) {
    const double before = counted("failures_total");
    FakeServer broken(*pack_, socket_path(0), behaviour);
    auto experts = remote();
    ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {"unix:" + socket_path(0)})));
    ASSERT_TRUE(experts.wait_connected(Seconds(5)));
    Layer layer(*pack_, 1, 12, 5);
    EXPECT_EQ(layer.run(experts), expected(layer));
    EXPECT_EQ(counted("failures_total"), std::max(before, 0.0) + 1);
  }
  EXPECT_EQ(counted("stall_seconds_count"), 4);
  EXPECT_GT(counted("fallback_rows_total"), 0);
}

TEST_F(RemoteExpertsTest, AnotherReplicaTakesOverFromALostOne) {
  FakeServer broken(*pack_, socket_path(0), FakeServer::Behaviour::kCloseOnBatch);
  ServerThread good(pack_, server_options(1));
  auto experts = remote();
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {"unix:" + socket_path(0), good.address()})));
  ASSERT_TRUE(experts.wait_connected(Seconds(5)));
  Layer layer(*pack_, 1, 40, 5);
  EXPECT_EQ(layer.run(experts), expected(layer));
  EXPECT_EQ(counted("failures_total"), 1);
  EXPECT_EQ(counted("fallback_rows_total"), 0);
  EXPECT_EQ(counted("rows_total"), layer.assignments());
}

TEST_F(RemoteExpertsTest, AServerThatHangsIsGivenUpAfterTheTimeout) {
  FakeServer hung(*pack_, socket_path(0), FakeServer::Behaviour::kNeverAnswer);
  auto experts = remote(Milliseconds(50));
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {"unix:" + socket_path(0)})));
  ASSERT_TRUE(experts.wait_connected(Seconds(5)));
  Layer layer(*pack_, 0, 4, 5);
  EXPECT_EQ(layer.run(experts), expected(layer));
  EXPECT_EQ(counted("failures_total"), 1);
}

TEST_F(RemoteExpertsTest, AServerThatComesBackIsUsedAgain) {
  auto server = std::make_unique<ServerThread>(pack_, server_options(0));
  auto experts = remote();
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {server->address()})));
  ASSERT_TRUE(experts.wait_connected(Seconds(5)));
  Layer layer(*pack_, 0, 4, 5);
  const auto wanted = expected(layer);
  EXPECT_EQ(layer.run(experts), wanted);
  server.reset();
  EXPECT_EQ(layer.run(experts), wanted);
  EXPECT_EQ(counted("fallback_rows_total"), layer.assignments());
  server = std::make_unique<ServerThread>(pack_, server_options(0));
  ASSERT_TRUE(experts.wait_connected(Seconds(5)));
  EXPECT_EQ(layer.run(experts), wanted);
  EXPECT_EQ(counted("reconnects_total"), 1);
  EXPECT_EQ(counted("fallback_rows_total"), layer.assignments());
}

TEST_F(RemoteExpertsTest, AServerOfAnotherModelIsRefused) {
  const auto other = make_pack(folder_.file("other"), small_shape(2));
  ServerThread server(other, server_options(0));
  auto experts = remote();
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {server.address()})));
  EXPECT_FALSE(experts.wait_connected(Milliseconds(100)));
  EXPECT_GE(counted("refused_total"), 1);
  EXPECT_GE(server.stats().refused_hellos, 1U);
  Layer layer(*pack_, 0, 4, 5);
  EXPECT_EQ(layer.run(experts), expected(layer));
  EXPECT_EQ(counted("rows_total"), 0);
}

TEST_F(RemoteExpertsTest, ServersThatSayTheyAreOfAnotherKindAreRefusedByTheClientToo) {
  const std::vector<std::function<void(wire::HelloReply&)>> changes = {
      [](auto& reply) { reply.kernel_identity = "other"; }, [](auto& reply) { reply.model_fingerprint = "other"; },
      [](auto& reply) { reply.model_epoch = 7; }, [](auto& reply) { reply.hidden = 1; }, [](auto& reply) { reply.geometry.layers = 9; }};
  double refused = 0;
  for (const auto& change : changes) {
    FakeServer other(*pack_, socket_path(0), FakeServer::Behaviour::kNeverAnswer, change);
    auto experts = remote();
    ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {"unix:" + socket_path(0)})));
    EXPECT_FALSE(experts.wait_connected(Milliseconds(60)));
    EXPECT_GT(counted("refused_total"), refused);
    refused = counted("refused_total");
    Layer layer(*pack_, 0, 2, 5);
    EXPECT_EQ(layer.run(experts), expected(layer));
  }
  EXPECT_EQ(counted("rows_total"), 0);
}

TEST_F(RemoteExpertsTest, AnotherInstanceAtTheAddressIsRefused) {
  ServerThread server(pack_, server_options(5));
  auto experts = remote();
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {server.address()})));
  EXPECT_FALSE(experts.wait_connected(Milliseconds(50)));
  EXPECT_GE(counted("refused_total"), 1);
}

TEST_F(RemoteExpertsTest, TablesChangeBetweenSteps) {
  ServerThread first(pack_, server_options(0));
  ServerThread second(pack_, server_options(1));
  auto experts = remote();
  Layer layer(*pack_, 0, 16, 5);
  const auto wanted = expected(layer);
  for (std::uint64_t epoch = 1; epoch <= 20; ++epoch) {
    RoutingTable table = *full_table(pack_->geometry(), {first.address(), second.address()}, epoch);
    for (std::size_t i = 0; i < table.replicas.size(); ++i)
      if ((i + epoch) % 3 == 0) table.replicas[i] = {static_cast<std::uint16_t>(epoch % 2)};
    ASSERT_TRUE(experts.set_routing_table(std::make_shared<const RoutingTable>(table)));
    EXPECT_EQ(experts.epoch(), epoch);
    EXPECT_EQ(layer.run(experts), wanted);
  }
  EXPECT_EQ(counted("failures_total"), 0);
  EXPECT_EQ(counted("epoch"), 20);
}

TEST_F(RemoteExpertsTest, PacedServersGiveTheSameBytesLaterAndAreCounted) {
  ExpertServerOptions slow = server_options(0);
  slow.pace_rows_per_s = 2000;
  ServerThread paced(pack_, slow);
  auto experts = remote();
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {paced.address()})));
  ASSERT_TRUE(experts.wait_connected(Seconds(5)));
  EXPECT_EQ(counted("paced_endpoints"), 1);
  Layer layer(*pack_, 0, 10, 5);
  const auto wanted = expected(layer);
  const TimePoint start = clock_.now();
  EXPECT_EQ(layer.run(experts), wanted);
  EXPECT_GE(clock_.now() - start, from_seconds(static_cast<double>(layer.assignments()) / 2000));
  EXPECT_EQ(paced.stats().pace_rows_per_s, 2000);
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {}, 2)));
  EXPECT_EQ(counted("paced_endpoints"), 0);
  EXPECT_EQ(counted("live_endpoints"), 0);
}

TEST_F(RemoteExpertsTest, OldAndForeignTablesAreRefused) {
  auto experts = remote();
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {}, 5)));
  const auto old = experts.set_routing_table(full_table(pack_->geometry(), {}, 4));
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, ErrorCode::kFailedPrecondition);
  const auto foreign = experts.set_routing_table(full_table({3, 3}, {}, 6));
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(experts.epoch(), 5U);
}

}  // namespace
}  // namespace flexpert::engine
