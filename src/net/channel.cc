#include "net/channel.h"

#include <sys/socket.h>

#include <cerrno>

namespace flexpert::net {
namespace {

Channel::Sent sent(ssize_t count) {
  if (count >= 0) return {.bytes = static_cast<std::size_t>(count)};
  return {.error = errno == EAGAIN || errno == EINTR ? 0 : errno};
}

}  // namespace

Channel::Taken Channel::read(char* to, std::size_t room) {
  const ssize_t count = ::recv(fd_.get(), to, room, 0);
  if (count > 0) return {.bytes = static_cast<std::size_t>(count), .drained = static_cast<std::size_t>(count) < room};
  if (count == 0) return {.drained = true, .ended = true};
  if (errno == EINTR) return {};
  return {.drained = true, .error = errno == EAGAIN ? 0 : errno};
}

Channel::Sent Channel::write(const char* from, std::size_t bytes) { return sent(::send(fd_.get(), from, bytes, MSG_NOSIGNAL)); }

Channel::Sent Channel::write(std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  return sent(::sendmsg(fd_.get(), &message, MSG_NOSIGNAL));
}

void Channel::shut_down_writing() { ::shutdown(fd_.get(), SHUT_WR); }

void Channel::reset() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  if (fd_) ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  close();
}

}  // namespace flexpert::net
