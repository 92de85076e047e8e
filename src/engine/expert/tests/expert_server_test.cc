#include "engine/expert/expert_server.h"

#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <xxhash.h>

#include "engine/expert/tests/expert_fixture.h"
#include "engine/kernels/kernels.h"
#include "net/socket.h"

namespace flexpert::engine {
namespace {

namespace wire = expert_protocol;
using testing::make_pack;
using testing::ServerThread;
using testing::TemporaryFolder;

/// A client that says exactly what a test tells it to.
class Client {
 public:
  explicit Client(const std::string& address) : fd_(std::move(*net::start_connect(*net::Address::parse(address)))) {}

  void send(const wire::Bytes& bytes) { (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  /// Waits for the next frame; nothing when the server closes or 5 s pass.
  std::optional<wire::Frame> receive() {
    while (true) {
      auto frame = decoder_.next();
      if (!frame) return std::nullopt;
      if (*frame) return **frame;
      pollfd ready{fd_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 5000) != 1) return std::nullopt;
      const auto space = decoder_.space();
      const ssize_t got = ::recv(fd_.get(), space.data(), space.size(), 0);
      if (got <= 0) return std::nullopt;
      decoder_.received(static_cast<std::size_t>(got));
    }
  }
  /// Waits until the server has closed the connection.
  bool closed() {
    std::byte byte;
    pollfd ready{fd_.get(), POLLIN, 0};
    while (::poll(&ready, 1, 5000) == 1)
      if (::recv(fd_.get(), &byte, 1, 0) <= 0) return true;
    return false;
  }

 private:
  net::UniqueFd fd_;
  wire::FrameDecoder decoder_;
};

class ExpertServerTest : public ::testing::Test {
 protected:
  [[nodiscard]] ExpertServerOptions options(double pace = 0) const {
    ExpertServerOptions options;
    options.listen = *net::Address::parse("unix:" + folder_.file("s"));
    options.instance = InstanceId{"expert-0"};
    options.pace_rows_per_s = pace;
    return options;
  }
  [[nodiscard]] wire::Hello hello() const {
    return {pack_->model_fingerprint(), 0, kernel_identity(), pack_->hidden_size(), pack_->geometry()};
  }
  static wire::Bytes frame_of(const auto& value, std::uint64_t correlation = 1) {
    wire::Bytes out;
    wire::encode(out, correlation, value);
    return out;
  }
  wire::Bytes batch_frame(std::uint64_t correlation, std::uint32_t rows, std::uint32_t expert = 0, const std::string& instance = {}) {
    const std::vector<float> data(std::size_t{rows} * pack_->hidden_size(), 0.5F);
    std::vector<std::uint32_t> indices;
    for (std::uint32_t i = 0; i < rows; ++i) indices.push_back(i);
    const wire::BatchGroup group{expert, rows};
    return frame_of(wire::Batch{.hidden = pack_->hidden_size(),
                                .row_count = rows,
                                .groups = std::span(&group, 1),
                                .row_indices = indices,
                                .rows = data,
                                .instance = instance},
                    correlation);
  }
  static wire::WireError error_in(const std::optional<wire::Frame>& frame) {
    if (!frame || frame->type != wire::FrameType::kError) return {ErrorCode::kInternal, "no error frame came"};
    return *wire::decode_error(frame->payload);
  }
  void greet(Client& client) {
    client.send(frame_of(hello()));
    const auto reply = client.receive();
    ASSERT_TRUE(reply && reply->type == wire::FrameType::kHelloReply);
  }

  TemporaryFolder folder_;
  std::shared_ptr<const PackFile> pack_ = make_pack(folder_.file("p"));
};

TEST_F(ExpertServerTest, HelloTellsWhoAnswers) {
  ServerThread server(pack_, options(1234));
  Client client(server.address());
  client.send(frame_of(hello()));
  const auto frame = client.receive();
  ASSERT_TRUE(frame);
  const auto reply = wire::decode_hello_reply(frame->payload);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->instance, "expert-0");
  EXPECT_EQ(reply->pace_rows_per_s, 1234);
  EXPECT_EQ(reply->kernel_identity, kernel_identity());
}

TEST_F(ExpertServerTest, HellosThatDoNotFitAreRefusedWithTheReason) {
  ServerThread server(pack_, options());
  const auto refusal = [&](const std::function<void(wire::Hello&)>& change) {
    wire::Hello other = hello();
    change(other);
    Client client(server.address());
    client.send(frame_of(other));
    const auto error = error_in(client.receive());
    EXPECT_EQ(error.code, ErrorCode::kFailedPrecondition);
    EXPECT_TRUE(client.closed());
    return error.text;
  };
  EXPECT_NE(refusal([](auto& h) { h.model_fingerprint = "other"; }).find("other model"), std::string::npos);
  EXPECT_NE(refusal([](auto& h) { h.kernel_identity = "x"; }).find("other kernels"), std::string::npos);
  EXPECT_NE(refusal([](auto& h) { h.model_epoch = 3; }).find("epoch"), std::string::npos);
  EXPECT_NE(refusal([](auto& h) { h.hidden = 3; }).find("geometry"), std::string::npos);
  EXPECT_EQ(server.stats().refused_hellos, 4U);
  EXPECT_EQ(server.stats().rejected_connections, 0U);
}

TEST_F(ExpertServerTest, RandomBytesAreClosedAndCounted) {
  ServerThread server(pack_, options());
  Rng rng(4);
  for (int i = 0; i < 20; ++i) {
    wire::Bytes bytes(200);
    for (auto& byte : bytes) byte = static_cast<std::byte>(rng.next());
    Client client(server.address());
    client.send(bytes);
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(server.stats().rejected_connections, 20U);
  Client client(server.address());
  greet(client);
  client.send(batch_frame(7, 2));
  const auto result = client.receive();
  ASSERT_TRUE(result && result->type == wire::FrameType::kResult);
}

TEST_F(ExpertServerTest, BytesThatTurnBadAfterHelloAreClosedAndCounted) {
  ServerThread server(pack_, options());
  for (int i = 0; i < 5; ++i) {
    Client client(server.address());
    greet(client);
    wire::Bytes damaged = batch_frame(1, 3);
    damaged[damaged.size() - 1 - static_cast<std::size_t>(i)] ^= std::byte{16};
    client.send(damaged);
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(server.stats().rejected_connections, 5U);
  EXPECT_EQ(server.stats().batches, 0U);
}

TEST_F(ExpertServerTest, AnotherProtocolVersionIsRefusedWithTheReason) {
  ServerThread server(pack_, options());
  wire::Bytes newer = frame_of(hello());
  newer[4] = std::byte{9};
  const std::uint64_t checksum = XXH3_64bits(newer.data(), 32);
  std::memcpy(newer.data() + 32, &checksum, sizeof checksum);
  Client client(server.address());
  client.send(newer);
  const auto error = error_in(client.receive());
  EXPECT_EQ(error.code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(error.text.find("version 9"), std::string::npos) << error.text;
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(server.stats().refused_hellos, 1U);
}

TEST_F(ExpertServerTest, ABatchBeforeHelloIsClosedAndCounted) {
  ServerThread server(pack_, options());
  Client client(server.address());
  client.send(batch_frame(1, 1));
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(server.stats().rejected_connections, 1U);
}

TEST_F(ExpertServerTest, ASilentClientIsClosed) {
  ExpertServerOptions impatient = options();
  impatient.hello_timeout = Milliseconds(20);
  ServerThread server(pack_, impatient);
  Client client(server.address());
  EXPECT_TRUE(client.closed());
}

TEST_F(ExpertServerTest, BatchesThatCannotBeServedAreAnsweredWithErrors) {
  ServerThread server(pack_, options());
  Client client(server.address());
  greet(client);
  client.send(batch_frame(5, 1, 99));
  const auto frame = client.receive();
  EXPECT_EQ(error_in(frame).code, ErrorCode::kNotFound);
  EXPECT_EQ(frame->correlation, 5U);
  client.send(batch_frame(6, 1, 0, "expert-9"));
  EXPECT_EQ(error_in(client.receive()).code, ErrorCode::kNotFound);
  client.send(batch_frame(7, 1, 0, "expert-0"));
  const auto result = client.receive();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->type, wire::FrameType::kResult);
}

TEST_F(ExpertServerTest, APaceHoldsAnswersBackAndQueuesThem) {
  ServerThread server(pack_, options(100));
  Client client(server.address());
  greet(client);
  const SystemClock clock;
  const TimePoint start = clock.now();
  wire::Bytes two = batch_frame(1, 20);
  const wire::Bytes second = batch_frame(2, 10);
  two.insert(two.end(), second.begin(), second.end());
  client.send(two);
  const auto first_answer = client.receive();
  ASSERT_TRUE(first_answer);
  EXPECT_EQ(first_answer->correlation, 1U);
  EXPECT_EQ(wire::decode_result(first_answer->payload)->service_ns, 200'000'000U);
  EXPECT_GE(clock.now() - start, Milliseconds(200));
  const auto second_answer = client.receive();
  ASSERT_TRUE(second_answer);
  const auto result = wire::decode_result(second_answer->payload);
  EXPECT_GT(result->queue_rows, 10U);
  EXPECT_LE(result->queue_rows, 20U);
  EXPECT_GE(clock.now() - start, Milliseconds(300));
}

TEST_F(ExpertServerTest, AHeldAnswerCanBeCancelled) {
  ServerThread server(pack_, options(0.001));
  Client client(server.address());
  greet(client);
  client.send(batch_frame(3, 5));
  wire::Bytes cancel;
  wire::encode_empty(cancel, 3, wire::FrameType::kCancel);
  client.send(cancel);
  const auto frame = client.receive();
  EXPECT_EQ(error_in(frame).code, ErrorCode::kCancelled);
  EXPECT_EQ(frame->correlation, 3U);
}

TEST_F(ExpertServerTest, PrepareAndStatsAreAnswered) {
  ServerThread server(pack_, options());
  Client client(server.address());
  greet(client);
  wire::Bytes out;
  const std::vector<ExpertSlot> slots{{0, 1}, {1, 7}, {99, 99}};
  wire::encode_prepare(out, 8, slots);
  client.send(out);
  EXPECT_EQ(client.receive()->type, wire::FrameType::kPrepareReply);
  client.send(batch_frame(9, 3, 2));
  ASSERT_EQ(client.receive()->type, wire::FrameType::kResult);
  out.clear();
  wire::encode_empty(out, 10, wire::FrameType::kStats);
  client.send(out);
  const auto frame = client.receive();
  ASSERT_TRUE(frame);
  const auto stats = wire::decode_stats_reply(frame->payload);
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->batches, 1U);
  ASSERT_EQ(stats->slots.size(), 1U);
  EXPECT_EQ(stats->slots[0].slot, (ExpertSlot{0, 2}));
  EXPECT_EQ(stats->slots[0].rows, 3U);
  EXPECT_GT(stats->bytes_received, 0U);
}

TEST_F(ExpertServerTest, DrainAnswersWhatIsOwedAndClosesEverything) {
  ServerThread server(pack_, options(10));
  Client client(server.address());
  greet(client);
  client.send(batch_frame(1, 10));
  while (server.stats().batches == 0) {
  }
  std::promise<void> drained;
  server.drain(Seconds(30), [&] { drained.set_value(); });
  (void)server.stats();  // answered after the drain has begun
  client.send(batch_frame(2, 1));
  EXPECT_EQ(error_in(client.receive()).code, ErrorCode::kUnavailable);
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->type, wire::FrameType::kResult);
  EXPECT_TRUE(client.closed());
  drained.get_future().get();
  EXPECT_FALSE(net::start_connect(*net::Address::parse(server.address())));
}

TEST_F(ExpertServerTest, DrainEndsAtItsDeadline) {
  ServerThread server(pack_, options(0.001));
  Client client(server.address());
  greet(client);
  wire::Bytes out = batch_frame(1, 1);
  wire::encode_drain(out, 2, 20);
  client.send(out);
  const auto frame = client.receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, wire::FrameType::kDrainReply);
  EXPECT_TRUE(client.closed());
}

TEST_F(ExpertServerTest, AnAddressInUseIsRefused) {
  ServerThread server(pack_, options());
  net::EventLoop loop;
  telemetry::Registry metrics;
  const SystemClock clock;
  EXPECT_FALSE(ExpertServer::start(loop, pack_, options(), metrics, clock));
}

}  // namespace
}  // namespace flexpert::engine
