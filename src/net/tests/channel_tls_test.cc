#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

#include "crypto/tests/test_certificates.h"
#include "net/channel.h"

namespace flexpert::net {
namespace {

/// A TLS connection: both ends of it.
class TlsChannels : public ::testing::Test {
 protected:
  TlsChannels() {
    std::array<int, 2> fds{-1, -1};
    ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data());
    const auto authority = crypto::make_certificate("");
    const auto certificate = crypto::make_certificate("DNS:localhost", &authority);
    server_context = *crypto::TlsContext::server({.certificate_file = folder.write("c.pem", certificate.certificate_pem()),
                                                  .key_file = folder.write("k.pem", certificate.key_pem())});
    client_context = *crypto::TlsContext::client({.ca_file = folder.write("ca.pem", authority.certificate_pem())});
    server = Channel(UniqueFd(fds[0]), *server_context);
    client = Channel(UniqueFd(fds[1]), *client_context, "localhost");
  }
  bool shake() {
    for (int turn = 0; turn < 20; ++turn) {
      const auto one = client.handshake();
      const auto two = server.handshake();
      if (one == Channel::Handshake::kDone && two == Channel::Handshake::kDone) return true;
    }
    return false;
  }
  static std::string read_all(Channel& channel, Channel::Taken& last, std::size_t room = 1000) {
    std::string all;
    std::string piece(room, '\0');
    while (true) {
      last = channel.read(piece.data(), room);
      all.append(piece.data(), last.bytes);
      if (last.drained) return all;
    }
  }

  crypto::TestFolder folder;
  std::shared_ptr<const crypto::TlsContext> server_context;
  std::shared_ptr<const crypto::TlsContext> client_context;
  Channel server;
  Channel client;
};

TEST_F(TlsChannels, AServerShakesHandsWhileItReads) {
  std::array<char, 100> room{};
  EXPECT_TRUE(client.secure());
  for (int turn = 0; turn < 20 && client.handshake() == Channel::Handshake::kGoesOn; ++turn) {
    const auto taken = server.read(room.data(), room.size());
    EXPECT_TRUE(taken.drained);
    EXPECT_EQ(taken.error, 0);
  }
  ASSERT_EQ(client.handshake(), Channel::Handshake::kDone);
  EXPECT_EQ(client.write("hello", 5).bytes, 5U);
  Channel::Taken last;
  EXPECT_EQ(read_all(server, last), "hello");
  EXPECT_FALSE(last.ended);
  EXPECT_EQ(last.error, 0);
}

TEST_F(TlsChannels, PartsAndManyRecordsArriveWhole) {
  ASSERT_TRUE(shake());
  std::string body;
  for (int i = 0; i < 50'000; ++i) body += static_cast<char>(i * 7);
  const std::array<iovec, 3> parts{{{const_cast<char*>("head"), 4}, {nullptr, 0}, {body.data(), body.size()}}};
  for (const std::size_t room : {std::size_t{7}, std::size_t{20'480}}) {
    EXPECT_EQ(client.write(parts).bytes, body.size() + 4);
    Channel::Taken last;
    EXPECT_TRUE(read_all(server, last, room) == "head" + body) << room;
  }
}

TEST_F(TlsChannels, WhatIsLeftOfPartsCanBeSentFromOneBuffer) {
  ASSERT_TRUE(shake());
  std::string body;
  for (int i = 0; i < 1'000'000; ++i) body += static_cast<char>(i % 251);
  const std::array<iovec, 2> parts{{{const_cast<char*>("head"), 4}, {body.data(), body.size()}}};
  const std::string flat = "head" + body;
  std::size_t sent = client.write(parts).bytes;
  EXPECT_LT(sent, flat.size()) << "the socket took everything: the test needs more";
  std::string got;
  Channel::Taken last;
  for (int turn = 0; turn < 1000 && got.size() < flat.size(); ++turn) {
    got += read_all(server, last);
    const std::string rest = flat.substr(sent);  // elsewhere in memory each time
    const auto more = client.write(rest.data(), rest.size());
    ASSERT_EQ(more.error, 0);
    sent += more.bytes;
  }
  EXPECT_TRUE(got == flat);
}

TEST_F(TlsChannels, AnEndThatWasSaidIsAnEnd) {
  ASSERT_TRUE(shake());
  server.write("all", 3);
  server.shut_down_writing();
  Channel::Taken last;
  EXPECT_EQ(read_all(client, last), "all");
  EXPECT_TRUE(last.ended);
  EXPECT_EQ(last.error, 0);
}

TEST_F(TlsChannels, AnEndThatWasNotSaidIsAnError) {
  ASSERT_TRUE(shake());
  server.write("half", 4);
  server.reset();
  Channel::Taken last;
  EXPECT_EQ(read_all(client, last), "half");
  EXPECT_FALSE(last.ended);
  EXPECT_NE(last.error, 0);
  EXPECT_EQ(client.describe(last.error), "the TLS connection ended without close_notify");
}

TEST_F(TlsChannels, ClosingSaysSo) {
  ASSERT_TRUE(shake());
  server.close();
  EXPECT_FALSE(server.open());
  Channel::Taken last;
  EXPECT_EQ(read_all(client, last), "");
  EXPECT_TRUE(last.ended);
}

TEST(PlainChannel, HasNoHandshake) {
  std::array<int, 2> fds{-1, -1};
  ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data());
  Channel one{UniqueFd(fds[0])};
  Channel two{UniqueFd(fds[1])};
  EXPECT_FALSE(one.secure());
  EXPECT_EQ(one.handshake(), Channel::Handshake::kDone);
  EXPECT_EQ(one.write("x", 1).bytes, 1U);
  char byte = 0;
  EXPECT_EQ(two.read(&byte, 1).bytes, 1U);
  one.close();
  EXPECT_TRUE(two.read(&byte, 1).ended);
}

}  // namespace
}  // namespace flexpert::net
