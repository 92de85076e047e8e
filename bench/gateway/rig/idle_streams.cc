#include "rig/idle_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

constexpr std::size_t kAtOnce = 100;

/// Reads until the first event has come.
Result<void> await_event(int fd) {
  std::string got;
  char buffer[8192];
  while (got.find("\"t\":") == std::string::npos) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 30'000) != 1) return fail(ErrorCode::kUnavailable, "a stream did not begin within 30 s");
    const ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
    if (count < 0) return fail(ErrorCode::kUnavailable, "a stream broke before its first event: {}", std::strerror(errno));
    if (count == 0) return fail(ErrorCode::kUnavailable, "a stream was closed before its first event, behind: {}", got.substr(0, 200));
    got.append(buffer, static_cast<std::size_t>(count));
    if (!got.starts_with("HTTP/1.1 200")) return fail(ErrorCode::kUnavailable, "a stream was refused: {}", got.substr(0, 300));
  }
  return {};
}

}  // namespace

Result<IdleStreams> IdleStreams::open(std::uint16_t port, std::size_t count, std::string_view request) {
  IdleStreams streams;
  for (std::size_t opened = 0; opened < count; opened += kAtOnce) {
    const std::size_t some = std::min(kAtOnce, count - opened);
    for (std::size_t i = 0; i < some; ++i) {
      const int fd = connect_locally(port);
      if (fd < 0) return fail(ErrorCode::kResourceExhausted, "no connection for stream {}: {}", opened + i, std::strerror(errno));
      streams.fds_.push_back(fd);
      pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, 5000);
      if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
        return fail(ErrorCode::kUnavailable, "stream {} cannot be asked for: {}", opened + i, std::strerror(errno));
    }
    for (std::size_t i = 0; i < some; ++i) if (auto begun = await_event(streams.fds_[opened + i]); !begun) return fail(begun.error().with_context(fmt::format("stream {}", opened + i)));
  }
  return streams;
}

IdleStreams::~IdleStreams() {
  for (const int fd : fds_) ::close(fd);
}

std::size_t IdleStreams::still_open() const {
  std::size_t open = 0;
  char buffer[8192];
  for (const int fd : fds_) {
    ssize_t count = 1;
    while (count > 0) count = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) ++open;
  }
  return open;
}

}  // namespace flexpert::bench
