#include "net/stream.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

#include "net/name_lookup.h"
#include "net/socket.h"

namespace flexpert::net {
namespace {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "flexpert-net-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

Address parsed(const std::string& text) {
  const auto address = Address::parse(text);
  EXPECT_TRUE(address) << address.error().message;
  return address.value_or(Address{});
}

/// Runs the loop until `condition` holds or 20 s have passed.
bool run_until(EventLoop& loop, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + Seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < deadline) loop.run_once(Milliseconds(100));
  return condition();
}

struct Recorder final : StreamHandler {
  std::string bytes;
  std::string error;
  int connected = 0, drained = 0, closed = 0;
  std::function<void()> then;
  void on_connected() override { ++connected; }
  void on_bytes(std::string_view received) override {
    bytes += received;
    if (then) then();
  }
  void on_drained() override { ++drained; }
  void on_closed(const Error* reason) override {
    ++closed;
    if (reason != nullptr) error = reason->message;
    if (then) then();
  }
};

struct Acceptor final : FdHandler {
  EventLoop& loop;
  UniqueFd fd;
  StreamHandler* handler;
  std::unique_ptr<Stream> accepted;
  Acceptor(EventLoop& l, UniqueFd listening, StreamHandler* h) : loop(l), fd(std::move(listening)), handler(h) {
    loop.watch(fd.get(), EPOLLIN, this);
  }
  ~Acceptor() override { loop.unwatch(fd.get()); }
  void on_events(std::uint32_t) override {
    if (auto connection = accept_one(fd.get())) accepted = std::make_unique<Stream>(loop, std::move(*connection), handler);
  }
};

/// A connected pair of streams over the transport of the parameter.
class StreamPair : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const Address asked = parsed(GetParam() == "unix" ? "unix:" + (dir / "socket") : GetParam());
    auto listening = listen_on(asked);
    ASSERT_TRUE(listening) << listening.error().message;
    auto bound = bound_address(listening->get(), asked);
    ASSERT_TRUE(bound);
    if (bound->host_or_path == "*") bound->host_or_path = "127.0.0.1";
    acceptor = std::make_unique<Acceptor>(loop, std::move(*listening), &server);
    auto connecting = Stream::connect(loop, *bound, Seconds(5), &client);
    ASSERT_TRUE(connecting) << connecting.error().message;
    stream = std::move(*connecting);
    stream->write("early ");
    ASSERT_TRUE(run_until(loop, [&] { return client.connected == 1 && acceptor->accepted != nullptr; })) << client.error;
  }
  TempDir dir;
  EventLoop loop;
  Recorder client, server;
  std::unique_ptr<Acceptor> acceptor;
  std::unique_ptr<Stream> stream;
};

TEST_P(StreamPair, CarriesBytesBothWaysAndThoseWrittenBeforeTheConnect) {
  stream->write({"to", " the ", "server"});
  EXPECT_TRUE(run_until(loop, [&] { return server.bytes == "early to the server"; })) << server.bytes;
  acceptor->accepted->write("and back");
  EXPECT_TRUE(run_until(loop, [&] { return client.bytes == "and back"; }));
}

TEST_P(StreamPair, BuffersWhatThePeerDoesNotReadAndDrainsLater) {
  const std::string big(8 << 20, 'x');
  acceptor->accepted->set_reading(false);
  stream->write(big);
  EXPECT_GT(stream->buffered_bytes(), 0U);
  EXPECT_EQ(client.drained, 0);
  acceptor->accepted->set_reading(true);
  ASSERT_TRUE(run_until(loop, [&] { return server.bytes.size() == big.size() + 6; }));
  EXPECT_EQ(server.bytes, "early " + big);
  EXPECT_EQ(client.drained, 1);
  EXPECT_EQ(stream->buffered_bytes(), 0U);
}

TEST_P(StreamPair, ShutdownWaitsForTheBufferAndLeavesReadingOpen) {
  const std::string big(4 << 20, 'y');
  stream->write(big);
  stream->shutdown_when_drained();
  ASSERT_TRUE(run_until(loop, [&] { return server.closed == 1; }));
  EXPECT_EQ(server.bytes.size(), big.size() + 6);
  EXPECT_EQ(client.closed, 0);
}

TEST_P(StreamPair, TellsOfTheClosedPeerEvenWhenReadingIsPaused) {
  stream->set_reading(false);
  acceptor->accepted->close();
  EXPECT_TRUE(run_until(loop, [&] { return client.closed == 1; }));
  EXPECT_FALSE(stream->open());
  stream->write("ignored");
}

TEST_P(StreamPair, WritingToAClosedPeerEndsInOnClosed) {
  acceptor->accepted.reset();
  const std::string big(1 << 20, 'z');
  for (int i = 0; i < 8; ++i) stream->write(big);
  EXPECT_EQ(client.closed, 0) << "never from inside write()";
  EXPECT_TRUE(run_until(loop, [&] { return client.closed == 1; }));
}

TEST_P(StreamPair, MayBeDestroyedFromItsOwnCallback) {
  client.then = [&] { stream.reset(); };
  acceptor->accepted->write("bye");
  EXPECT_TRUE(run_until(loop, [&] { return stream == nullptr; }));
  EXPECT_TRUE(run_until(loop, [&] { return server.closed == 1; }));
}

INSTANTIATE_TEST_SUITE_P(Transports, StreamPair, testing::Values("unix", "127.0.0.1:0", "localhost:0", "*:0", "LocalHost:0"), [](const auto& transport) {
  const std::string& name = transport.param;
  return name == "unix" ? "Unix" : name == "*:0" ? "Every" : name == "localhost:0" ? "Localhost" : name == "LocalHost:0" ? "LookedUp" : "Tcp";
});

TEST(Address, ParsesAndPrintsEveryForm) {
  for (const char* text : {"unix:/run/x.sock", "127.0.0.1:80", "localhost:9000", "*:0", "[::1]:443", "my-vllm:8000", "a.b_c.example.:1"})
    EXPECT_EQ(parsed(text).to_string(), text);
  EXPECT_TRUE(parsed("unix:/run/x.sock").is_unix);
  EXPECT_EQ(parsed("127.0.0.1:80").port, 80);
}

TEST(Address, KnowsWhichHostsAreNames) {
  for (const char* text : {"unix:/run/x.sock", "127.0.0.1:80", "localhost:9000", "*:0", "[::1]:443"}) EXPECT_FALSE(parsed(text).needs_lookup()) << text;
  for (const char* text : {"my-vllm:8000", "vllm.example.com:80", "1.2.3.x:80"}) EXPECT_TRUE(parsed(text).needs_lookup()) << text;
}

TEST(Address, RefusesWhatItCannotUse) {
  for (const std::string text : {"", "unix:", "80", ":80", "host..example:80", "-host:80", "ho st:80", "http://host:80", "host/v1:80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:8x", "[::1:80",
                                 "[zz]:80", "1.2.3:80", "127.0.0.1:-1"}) {
    const auto address = Address::parse(text);
    EXPECT_FALSE(address) << text;
  }
  EXPECT_FALSE(Address::parse("unix:" + std::string(108, 'p')));
  EXPECT_TRUE(Address::parse("unix:" + std::string(107, 'p')));
}

TEST(Socket, ReplacesAStaleUnixSocketButNotALiveOneNorAFile) {
  const TempDir dir;
  const Address address = parsed("unix:" + (dir / "socket"));
  {
    const auto first = listen_on(address);
    ASSERT_TRUE(first);
    const auto second = listen_on(address);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kFailedPrecondition);
  }
  EXPECT_TRUE(listen_on(address)) << "its server is gone";
  std::ofstream(dir / "file") << "text";
  EXPECT_FALSE(listen_on(parsed("unix:" + (dir / "file"))));
}

TEST(Socket, AcceptSaysUnavailableWhenNobodyWaits) {
  const auto listening = listen_on(parsed("127.0.0.1:0"));
  ASSERT_TRUE(listening);
  const auto accepted = accept_one(listening->get());
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().code, ErrorCode::kUnavailable);
}

TEST(NameLookup, FindsWhatTheHostsFileSaysWithThePort) {
  const auto found = look_up(parsed("LocalHost:77"));  // not the "localhost" that we know ourselves
  ASSERT_TRUE(found) << found.error().message;
  for (const Address& address : *found) EXPECT_FALSE(address.needs_lookup());
  EXPECT_NE(std::find(found->begin(), found->end(), parsed("127.0.0.1:77")), found->end());
}

TEST(NameLookup, LeavesAddressesAsTheyAre) {
  for (const char* text : {"127.0.0.1:80", "[::1]:80", "localhost:80", "unix:/run/x.sock"}) EXPECT_EQ(look_up(parsed(text)), std::vector{parsed(text)});
}

TEST(Stream, TriesTheNextAddressOfANameWhenOneRefuses) {
  EventLoop loop;
  Recorder client, server;
  auto listening = listen_on(parsed("127.0.0.1:0"));  // most hosts files have ::1 too, where nobody listens
  ASSERT_TRUE(listening);
  const auto bound = bound_address(listening->get(), parsed("127.0.0.1:0"));
  Acceptor acceptor(loop, std::move(*listening), &server);
  auto stream = Stream::connect(loop, parsed(fmt::format("LocalHost:{}", bound->port)), Seconds(20), &client);
  ASSERT_TRUE(stream);
  EXPECT_TRUE((*stream)->open());
  (*stream)->write("before the name is known");
  EXPECT_TRUE(run_until(loop, [&] { return !server.bytes.empty(); })) << client.error;
  EXPECT_EQ(server.bytes, "before the name is known");
  EXPECT_EQ(client.connected, 1);
}

TEST(Stream, SaysWhichNameIsNotKnown) {
  EventLoop loop;
  Recorder client;
  const auto stream = Stream::connect(loop, parsed("no-such-host.invalid:80"), Seconds(5), &client);
  ASSERT_TRUE(stream);
  EXPECT_TRUE(run_until(loop, [&] { return client.closed == 1; }));
  EXPECT_EQ(client.connected, 0);
  EXPECT_NE(client.error.find("no-such-host.invalid"), std::string::npos) << client.error;
}

TEST(Stream, AFailedConnectIsToldOnceThoughItsTimeoutPassesLater) {
  for (const char* host : {"127.0.0.1", "LocalHost"}) {
    EventLoop loop;
    Recorder client;
    Address address;
    {
      const auto listening = listen_on(parsed("127.0.0.1:0"));
      ASSERT_TRUE(listening);
      address = bound_address(listening->get(), parsed("127.0.0.1:0")).value_or(Address{});
    }
    const auto stream = Stream::connect(loop, parsed(fmt::format("{}:{}", host, address.port)), Milliseconds(500), &client);
    if (!stream) continue;  // refused at once
    ASSERT_TRUE(run_until(loop, [&] { return client.closed == 1; }));
    EXPECT_EQ(client.error.find("within"), std::string::npos) << client.error;
    bool later = false;
    loop.call_after(Milliseconds(700), [&] { later = true; });
    EXPECT_TRUE(run_until(loop, [&] { return later; }));
    EXPECT_EQ(client.closed, 1) << host;
  }
}

TEST(Stream, MayBeForgottenWhileItsNameIsLookedUp) {
  EventLoop loop;
  Recorder client;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Stream::connect(loop, parsed("LocalHost:1"), Seconds(5), &client));
  loop.run_once(Duration::zero());
  EXPECT_EQ(client.closed, 0);
}

TEST(Stream, TellsOfARefusedConnect) {
  EventLoop loop;
  Recorder client;
  Address address;
  {
    const auto listening = listen_on(parsed("127.0.0.1:0"));
    ASSERT_TRUE(listening);
    address = bound_address(listening->get(), parsed("127.0.0.1:0")).value_or(Address{});
  }
  const auto stream = Stream::connect(loop, address, Seconds(5), &client);
  if (!stream) return;  // refused at once
  EXPECT_TRUE(run_until(loop, [&] { return client.closed == 1; }));
  EXPECT_NE(client.error.find("cannot connect to 127.0.0.1"), std::string::npos) << client.error;
  EXPECT_FALSE(Stream::connect(loop, parsed("unix:/nowhere/socket"), Seconds(1), &client));
}

TEST(Stream, GivesUpAConnectAfterItsTimeout) {
  // A Unix socket cannot hang in connect; a TCP listener with a full backlog drops the handshake.
  EventLoop loop;
  const auto listening = listen_on(parsed("127.0.0.1:0"), 0);
  ASSERT_TRUE(listening);
  const auto address = bound_address(listening->get(), parsed("127.0.0.1:0"));
  ASSERT_TRUE(address);
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 4; ++i) {
    recorders.push_back(std::make_unique<Recorder>());
    auto stream = Stream::connect(loop, *address, Milliseconds(50), recorders.back().get());
    ASSERT_TRUE(stream);
    streams.push_back(std::move(*stream));
  }
  EXPECT_TRUE(run_until(loop, [&] { return recorders.back()->closed == 1; }));
  EXPECT_NE(recorders.back()->error.find("no answer within 50 ms"), std::string::npos) << recorders.back()->error;
}

}  // namespace
}  // namespace flexpert::net
