#include "net/stream.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "net/socket.h"

namespace flexpert::net {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kMostParts = 8;
/// A flat buffer is moved to its front once this much of it has been sent.
constexpr std::size_t kCompactBytes = 256 * 1024;

}  // namespace

Stream::Stream(EventLoop& loop, UniqueFd connected, StreamHandler* handler) : loop_(loop), fd_(std::move(connected)), handler_(handler) {
  watched_events_ = EPOLLIN | EPOLLRDHUP;
  loop_.watch(fd_.get(), watched_events_, this);
}

Stream::Stream(EventLoop& loop, const Address& address, Duration timeout, StreamHandler* handler)
    : loop_(loop), handler_(handler), peer_(address), connecting_(true) {
  connect_timer_ = std::make_unique<DeadlineTimer>(loop, [this, timeout] {
    const std::string_view what = lookup_ ? "its name was not found" : "no answer";
    const Error error{ErrorCode::kDeadlineExceeded, fmt::format("cannot connect to {}: {} within {} ms", peer_.to_string(), what, to_ms(timeout))};
    closed(&error);
  });
  connect_timer_->set(timeout);
}

Result<std::unique_ptr<Stream>> Stream::connect(EventLoop& loop, const Address& address, Duration timeout, StreamHandler* handler) {
  std::unique_ptr<Stream> stream(new Stream(loop, address, timeout, handler));
  if (!address.needs_lookup()) {
    FLEXPERT_ASSIGN(UniqueFd fd, start_connect(address));
    stream->await_connect(std::move(fd));
    return stream;
  }
  FLEXPERT_ASSIGN(stream->lookup_, NameLookup::start(loop, address, [raw = stream.get()](Result<std::vector<Address>> found) {
    raw->lookup_.reset();
    if (!found) return raw->closed(&found.error());
    raw->candidates_.assign(found->rbegin(), found->rend());
    raw->connect_to_next({ErrorCode::kUnavailable, "no address"});
  }));
  return stream;
}

void Stream::await_connect(UniqueFd connecting) {
  fd_ = std::move(connecting);
  watched_events_ = EPOLLOUT;
  loop_.watch(fd_.get(), watched_events_, this);
}

/// Tries the next address of the host name; with none left, `last_error` is why it failed. May destroy the stream.
void Stream::connect_to_next(Error last_error) {
  while (!candidates_.empty()) {
    const Address next = std::move(candidates_.back());
    candidates_.pop_back();
    auto fd = start_connect(next);
    if (fd) return await_connect(std::move(*fd));
    last_error = std::move(fd.error());
  }
  closed(&last_error);
}

Stream::~Stream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  close();
}

void Stream::close() {
  // Also between two addresses of a name, when nothing is open.
  candidates_.clear();
  connect_timer_.reset();
  if (!open()) return;
  if (fd_) loop_.unwatch(fd_.get());
  fd_.reset();
  lookup_.reset();
  out_.clear();
  out_sent_ = 0;
}

void Stream::reset() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  if (fd_) ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  close();
}

void Stream::closed(const Error* error) {
  close();
  handler_->on_closed(error);  // may destroy this
}

void Stream::on_events(std::uint32_t events) {
  bool destroyed = false;
  bool* const outer = std::exchange(destroyed_, &destroyed);
  FLEXPERT_CHECK(outer == nullptr, "a stream's events do not nest");
  if (connecting_) {
    finish_connect();
    if (!destroyed) destroyed_ = nullptr;
    return;
  }
  if ((events & EPOLLOUT) != 0 && buffered_bytes() > 0 && flush()) handler_->on_drained();
  if (!destroyed && open()) {
    if (reading_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) {
      read_some();
    } else if (!reading_ && (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) {
      closed(nullptr);
    }
  }
  if (destroyed) return;
  destroyed_ = nullptr;
  if (open()) update_events();
}

void Stream::finish_connect() {
  if (auto connected = connect_result(fd_.get(), peer_); !connected) {
    loop_.unwatch(fd_.get());
    fd_.reset();
    return connect_to_next(std::move(connected.error()));
  }
  connecting_ = false;
  candidates_.clear();
  connect_timer_.reset();
  const bool* const destroyed = destroyed_;
  handler_->on_connected();
  if (*destroyed || !open()) return;
  flush();
  update_events();
}

void Stream::read_some() {
  std::array<char, kReadBytes> buffer;  // on the stack and not cleared: a connection at rest holds no memory for reading
  const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (count > 0) return handler_->on_bytes({buffer.data(), static_cast<std::size_t>(count)});
  if (count == 0) return closed(nullptr);
  if (errno == EAGAIN || errno == EINTR) return;
  const Error error{ErrorCode::kUnavailable, fmt::format("the connection broke: {}", std::strerror(errno))};
  closed(&error);
}

void Stream::write(std::initializer_list<std::string_view> parts) {
  if (!open() || write_failed_ || shutdown_asked_) return;
  std::size_t total = 0;
  for (const std::string_view part : parts) total += part.size();
  std::size_t sent = 0;
  if (!connecting_ && buffered_bytes() == 0 && total > 0) {
    FLEXPERT_CHECK(parts.size() <= kMostParts, "too many parts in one write");
    std::array<iovec, kMostParts> vectors;
    std::size_t used = 0;
    for (const std::string_view part : parts)
      if (!part.empty()) vectors[used++] = {.iov_base = const_cast<char*>(part.data()), .iov_len = part.size()};
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = used;
    const ssize_t count = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return fail_writes();
    sent = count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  if (sent == total) return;
  for (std::string_view part : parts) {
    const std::size_t skipped = std::min(sent, part.size());
    sent -= skipped;
    out_.append(part.substr(skipped));
  }
  update_events();
}

bool Stream::flush() {
  while (buffered_bytes() > 0) {
    const ssize_t count = ::send(fd_.get(), out_.data() + out_sent_, buffered_bytes(), MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) fail_writes();
      break;
    }
    out_sent_ += static_cast<std::size_t>(count);
  }
  if (buffered_bytes() == 0) {
    out_.clear();
    out_sent_ = 0;
    if (out_.capacity() > kCompactBytes) out_.shrink_to_fit();
    if (shutdown_asked_ && !shutdown_done_ && !write_failed_) {
      shutdown_done_ = true;
      ::shutdown(fd_.get(), SHUT_WR);
    }
    return !write_failed_;
  }
  if (out_sent_ > kCompactBytes) {
    out_.erase(0, out_sent_);
    out_sent_ = 0;
  }
  return false;
}

/// Drops what is buffered and makes the kernel report the connection as closed: on_closed() comes from the loop.
void Stream::fail_writes() {
  write_failed_ = true;
  out_.clear();
  out_sent_ = 0;
  ::shutdown(fd_.get(), SHUT_RDWR);
}

void Stream::shutdown_when_drained() {
  if (!open() || shutdown_asked_) return;
  shutdown_asked_ = true;
  if (!connecting_ && buffered_bytes() == 0) flush();
}

void Stream::set_reading(bool reading) {
  if (reading_ == reading) return;
  reading_ = reading;
  if (open()) update_events();
}

void Stream::update_events() {
  if (!fd_) return;
  std::uint32_t wanted = EPOLLRDHUP;
  if (reading_) wanted |= EPOLLIN;
  if (buffered_bytes() > 0) wanted |= EPOLLOUT;
  if (connecting_) wanted = EPOLLOUT;
  if (wanted == watched_events_) return;
  watched_events_ = wanted;
  loop_.modify(fd_.get(), wanted);
}

}  // namespace flexpert::net
