#include "rig/abort_load.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "rig/backend.h"
#include "rig/requests.h"
#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

constexpr double kLongestStayMs = 120;

}  // namespace

struct AbortLoad::Client {
  std::size_t index = 0;
  int fd = -1;
  std::uint32_t number = 0;
  std::string request;
  std::size_t sent = 0;
  std::size_t send_up_to = 0;    ///< less than the request: it leaves in the middle of it
  std::int64_t leaves_at_ns = 0;
  bool by_reset = false;
  AnswerReader reader;
};

AbortLoad::AbortLoad(std::uint16_t port, std::string api_key, std::size_t clients, std::uint64_t seed)
    : port_(port), api_key_(std::move(api_key)), rng_(seed), epoll_(::epoll_create1(EPOLL_CLOEXEC)), buffer_(64 * 1024) {
  for (std::size_t i = 0; i < clients; ++i) {
    clients_.push_back(std::make_unique<Client>());
    clients_.back()->index = i;
  }
}

AbortLoad::~AbortLoad() {
  for (const auto& client : clients_)
    if (client->fd >= 0) ::close(client->fd);
  ::close(epoll_);
}

AbortResult AbortLoad::run(std::uint32_t count, const std::function<void(std::uint32_t)>& every_ms) {
  wanted_ = count;
  result_ = {};
  result_.left_at_ns.assign(count + 1, 0);
  begun_ = 0;
  for (const auto& client : clients_) begin(*client);
  std::array<epoll_event, 128> events;
  while (busy_ > 0) {
    const timespec wait{.tv_sec = 0, .tv_nsec = 500'000};
    const int ready = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
    for (int i = 0; i < ready; ++i) {
      Client& client = *clients_[events[static_cast<std::size_t>(i)].data.u32];
      if (client.fd < 0) continue;
      if ((events[static_cast<std::size_t>(i)].events & EPOLLOUT) != 0 && client.sent < client.send_up_to) {
        const ssize_t sent = ::send(client.fd, client.request.data() + client.sent, client.send_up_to - client.sent, MSG_NOSIGNAL);
        if (sent > 0) client.sent += static_cast<std::size_t>(sent);
      }
      if ((events[static_cast<std::size_t>(i)].events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) read(client);
    }
    const std::int64_t now = monotonic_ns();
    for (const auto& client : clients_)
      if (client->fd >= 0 && client->leaves_at_ns <= now) leave(*client);
    every_ms(begun_);
  }
  return std::move(result_);
}

void AbortLoad::begin(Client& client) {
  if (begun_ == wanted_) return;
  client.number = ++begun_;
  const bool stream = rng_.below(2) == 0;
  const bool large = rng_.below(20) == 0;
  client.request = chat_request({.body_bytes = large ? std::size_t{100'000} : 400, .stream = stream, .number = client.number, .api_key = api_key_});
  client.sent = 0;
  client.send_up_to = rng_.below(10) == 0 ? rng_.below(client.request.size()) : client.request.size();
  client.leaves_at_ns = monotonic_ns() + static_cast<std::int64_t>(rng_.uniform() * kLongestStayMs * 1e6);
  client.by_reset = rng_.below(3) == 0;
  client.reader.reset();
  client.fd = connect_locally(port_);
  if (client.fd < 0) {
    ++result_.cut;
    return begin(client);
  }
  ++busy_;
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u32 = static_cast<std::uint32_t>(client.index)}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event);
}

void AbortLoad::leave(Client& client) {
  ++result_.aborted;
  if (client.by_reset) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  result_.left_at_ns[client.number] = monotonic_ns();
  over(client);
}

void AbortLoad::read(Client& client) {
  while (true) {
    const ssize_t count = ::recv(client.fd, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      judge(client, true);
      return over(client);
    }
    const auto step = client.reader.take({buffer_.data(), static_cast<std::size_t>(count)}, nullptr);
    if (step == AnswerReader::Step::kMore) continue;
    judge(client, step == AnswerReader::Step::kBroken);
    return over(client);
  }
}

/// An answer is over: by its own end, or because the connection is.
void AbortLoad::judge(const Client& client, bool closed) {
  const AnswerReader& reader = client.reader;
  if (reader.saw_error() || (reader.begun() && reader.status() != 200)) {
    ++result_.told;
  } else if (closed && !reader.ends_with_connection()) {
    ++result_.cut;
  } else if (reader.is_stream() && !reader.saw_done()) {
    ++result_.silent_truncations;
  } else {
    ++result_.finished;
  }
}

void AbortLoad::over(Client& client) {
  ::close(client.fd);
  client.fd = -1;
  --busy_;
  begin(client);
}

}  // namespace flexpert::bench
