#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/tests/test_support.h"
#include "net/socket.h"

namespace flexpert::http {
namespace {

class SharedListener : public testing::Test {
 protected:
  static Server::Handler says(const std::string& name) {
    return [name](const Request&, Responder responder) { responder.respond({.status = 200, .headers = {}, .body = name}); };
  }
  net::UniqueFd duplicate() const { return net::UniqueFd(::dup(listening_.get())); }
  std::string answer_of(const net::Address& address) {
    RawClient client(loop_, address);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(client.wait_for("\r\n\r\n"));
    return client.received.substr(client.received.rfind("\r\n") + 2);
  }

  net::EventLoop loop_;
  net::UniqueFd listening_ = std::move(*net::listen_on(address_of("127.0.0.1:0")));
};

TEST_F(SharedListener, WhatWaitsWhenOneServerDrainsIsServedByAnother) {
  Server first(loop_, {}, says("first"));
  const auto address = first.listen_on(duplicate());
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_NE(address->port, 0);
  EXPECT_EQ(answer_of(*address), "first");
  bool drained = false;
  first.drain(Seconds(5), [&] { drained = true; });
  ASSERT_TRUE(run_until(loop_, [&] { return drained; }));
  // Connected while nobody accepts.
  RawClient early(loop_, *address);
  early.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Server second(loop_, {}, says("second"));
  ASSERT_TRUE(second.listen_on(duplicate()));
  EXPECT_TRUE(early.wait_for("second"));
}

TEST_F(SharedListener, AConnectionThatIsKeptMayAskOnceMoreWhileItLingers) {
  Server server(loop_, {}, says("here"));
  const auto address = server.listen_on(duplicate());
  ASSERT_TRUE(address);
  RawClient asks(loop_, *address);
  RawClient silent(loop_, *address);
  asks.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(asks.wait_for("here"));
  ASSERT_TRUE(run_until(loop_, [&] { return server.open_connections() == 2; }));
  bool drained = false;
  server.drain(Seconds(20), [&] { drained = true; }, Milliseconds(300));
  asks.received.clear();
  asks.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(asks.wait_for("here"));
  EXPECT_NE(asks.received.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(silent.wait_closed());
  EXPECT_TRUE(run_until(loop_, [&] { return drained; }));
}

TEST_F(SharedListener, DescriptorsThatDoNotListenAreRefused) {
  Server server(loop_, {}, says("x"));
  const auto refused = server.listen_on(net::UniqueFd(::open("/dev/null", O_RDONLY)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(server.listen_on(net::UniqueFd(::socket(AF_INET, SOCK_STREAM, 0))));
}

}  // namespace
}  // namespace flexpert::http
