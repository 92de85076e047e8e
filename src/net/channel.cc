#include "net/channel.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace flexpert::net {
namespace {

using Outcome = crypto::TlsSession::Outcome;

/// The most that one record of TLS holds.
constexpr std::size_t kRecord = 16 * 1024;
/// What stands for everything that TLS can have against a connection.
constexpr int kTlsError = EPROTO;

// recv(), send() and sendmsg() are points at which a thread can be cancelled, which costs two locked instructions a call in a process
// that has threads. Nobody cancels threads here. ThreadSanitizer knows the functions only.
#if defined(__has_feature)
#define FLEXPERT_HAS_FEATURE(name) __has_feature(name)
#else
#define FLEXPERT_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || FLEXPERT_HAS_FEATURE(thread_sanitizer)
ssize_t receive(int fd, char* to, std::size_t room) { return ::recv(fd, to, room, 0); }
ssize_t send_bytes(int fd, const char* from, std::size_t bytes) { return ::send(fd, from, bytes, MSG_NOSIGNAL); }
ssize_t send_message(int fd, const msghdr& message) { return ::sendmsg(fd, &message, MSG_NOSIGNAL); }
#else
ssize_t receive(int fd, char* to, std::size_t room) { return ::syscall(SYS_recvfrom, fd, to, room, 0, nullptr, nullptr); }
ssize_t send_bytes(int fd, const char* from, std::size_t bytes) { return ::syscall(SYS_sendto, fd, from, bytes, MSG_NOSIGNAL, nullptr, 0); }
ssize_t send_message(int fd, const msghdr& message) { return ::syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL); }
#endif

Channel::Sent sent(ssize_t count) {
  if (count >= 0) return {.bytes = static_cast<std::size_t>(count)};
  return {.error = errno == EAGAIN || errno == EINTR ? 0 : errno};
}

}  // namespace

Channel::Channel(UniqueFd connected, const crypto::TlsContext& server)
    : fd_(std::move(connected)), tls_(std::make_unique<crypto::TlsSession>(server, fd_.get())) {}

Channel::Channel(UniqueFd connected, const crypto::TlsContext& client, const std::string& host)
    : fd_(std::move(connected)), tls_(std::make_unique<crypto::TlsSession>(client, fd_.get(), host)) {}

Channel::Handshake Channel::handshake() {
  if (tls_ == nullptr || tls_->handshake_done()) return Handshake::kDone;
  const Outcome outcome = tls_->handshake();
  read_awaits_writable_ = outcome == Outcome::kWantWrite;
  switch (outcome) {
    case Outcome::kDone: return Handshake::kDone;
    case Outcome::kWantRead:
    case Outcome::kWantWrite: return Handshake::kGoesOn;
    default: return Handshake::kFailed;
  }
}

/// Reads until `room` is full or nothing more is there: TLS keeps bytes that it has decrypted, of which no event tells.
Channel::Taken Channel::read_tls(char* to, std::size_t room) {
  if (!tls_->handshake_done()) {
    const Handshake shaken = handshake();
    if (shaken != Handshake::kDone) return {.drained = true, .error = shaken == Handshake::kFailed ? kTlsError : 0};
  }
  Taken taken;
  read_awaits_writable_ = false;
  while (taken.bytes < room) {
    std::size_t count = 0;
    const Outcome outcome = tls_->read(to + taken.bytes, room - taken.bytes, count);
    taken.bytes += count;
    if (outcome == Outcome::kDone) continue;
    // What came before the end, or before the failure, is delivered first: the next read() tells of that again.
    if (taken.bytes > 0 && outcome != Outcome::kWantRead && outcome != Outcome::kWantWrite) return taken;
    taken.drained = true;
    taken.ended = outcome == Outcome::kEnded;
    taken.error = outcome == Outcome::kFailed ? kTlsError : 0;
    read_awaits_writable_ = outcome == Outcome::kWantWrite;
    return taken;
  }
  return taken;
}

Channel::Sent Channel::write_tls(const char* from, std::size_t bytes) {
  Sent sent;
  while (sent.bytes < bytes) {
    std::size_t count = 0;
    const Outcome outcome = tls_->write(from + sent.bytes, std::min(bytes - sent.bytes, kRecord), count);
    sent.bytes += count;
    if (outcome == Outcome::kFailed) sent.error = kTlsError;
    if (outcome != Outcome::kDone) return sent;
  }
  return sent;
}

Channel::Taken Channel::read(char* to, std::size_t room) {
  if (tls_ != nullptr) return read_tls(to, room);
  const ssize_t count = receive(fd_.get(), to, room);
  if (count > 0) return {.bytes = static_cast<std::size_t>(count), .drained = static_cast<std::size_t>(count) < room};
  if (count == 0) return {.drained = true, .ended = true};
  if (errno == EINTR) return {};
  return {.drained = true, .error = errno == EAGAIN ? 0 : errno};
}

Channel::Sent Channel::write(const char* from, std::size_t bytes) {
  if (tls_ != nullptr) return write_tls(from, bytes);
  return sent(send_bytes(fd_.get(), from, bytes));
}

Channel::Sent Channel::write(std::span<const iovec> parts) {
  if (tls_ != nullptr) {
    // Small parts share a record.
    std::array<char, kRecord> record;
    Sent all;
    std::size_t used = 0;
    const auto send_record = [&] {
      const Sent one = write_tls(record.data(), used);
      all.bytes += one.bytes;
      all.error = one.error;
      return one.bytes == std::exchange(used, 0);
    };
    for (const iovec& part : parts) {
      const char* const begin = static_cast<const char*>(part.iov_base);
      for (std::size_t done = 0; done < part.iov_len;) {
        const std::size_t taken = std::min(part.iov_len - done, record.size() - used);
        std::memcpy(record.data() + used, begin + done, taken);
        used += taken;
        done += taken;
        if (used == record.size() && !send_record()) return all;
      }
    }
    send_record();
    return all;
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  return sent(send_message(fd_.get(), message));
}

void Channel::shut_down_writing() {
  if (tls_ != nullptr) tls_->send_close_notify();
  ::shutdown(fd_.get(), SHUT_WR);
}

void Channel::close() {
  if (fd_ && tls_ != nullptr) tls_->send_close_notify();
  tls_.reset();
  fd_.reset();
}

void Channel::reset() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  if (fd_) ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  tls_.reset();
  fd_.reset();
}

std::string Channel::describe(int error) const {
  if (tls_ != nullptr && error == kTlsError) return tls_->error();
  return std::strerror(error);
}

}  // namespace flexpert::net
