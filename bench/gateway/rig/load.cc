#include "rig/load.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include <fmt/format.h>

#include "base/rng.h"
#include "rig/backend.h"
#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

/// A run in which nothing has come for so long is given up.
constexpr std::int64_t kStalledNs = 20'000'000'000;

}  // namespace

struct Load::Connection {
  int fd = -1;
  std::size_t index = 0;
  bool busy = false;
  bool fresh = true;           ///< nothing was answered on it yet
  bool peer_ended = false;     ///< its end is there to be read
  std::size_t sent = 0;
  std::int64_t due_ns = 0;
  AnswerReader reader;
};

struct Load::Run final : EventSink {
  std::string_view request;
  std::uint64_t left = 0;              ///< to begin; with a count
  std::int64_t until_ns = 0;           ///< with an end
  double per_s = 0;                    ///< in open loop
  std::int64_t next_due_ns = 0;
  Rng rng{1};
  std::vector<std::int64_t> waiting;   ///< due times of requests without a connection, oldest first from `taken`
  std::size_t taken = 0;
  std::vector<Connection*> idle;
  std::size_t in_flight = 0;
  std::int64_t last_news_ns = 0;
  LoadResult result;

  [[nodiscard]] bool open() const { return per_s > 0; }
  /// Tells whether a connection that has become free sends another one.
  [[nodiscard]] bool more(std::int64_t now) const { return until_ns > 0 ? now < until_ns : left > 0; }
  void on_event(std::int64_t sent_at_ns) override {
    if (sent_at_ns > 0) result.event_ms.push_back(static_cast<double>(monotonic_ns() - sent_at_ns) / 1e6);
  }
};

Load::Load(std::uint16_t port, std::size_t connections) : port_(port), epoll_(::epoll_create1(EPOLL_CLOEXEC)), buffer_(256 * 1024) {
  for (std::size_t i = 0; i < connections; ++i) {
    connections_.push_back(std::make_unique<Connection>());
    connections_.back()->index = i;
  }
}

Load::~Load() {
  for (const auto& connection : connections_)
    if (connection->fd >= 0) ::close(connection->fd);
  ::close(epoll_);
}

LoadResult Load::closed_loop(std::string_view request, std::uint64_t count) {
  Run run;
  run.request = request;
  run.left = count;
  return drive(run);
}

LoadResult Load::closed_loop_until(std::string_view request, std::int64_t until_ns) {
  Run run;
  run.request = request;
  run.until_ns = until_ns;
  return drive(run);
}

LoadResult Load::open_loop(std::string_view request, double per_s, double seconds, std::uint64_t seed) {
  Run run;
  run.request = request;
  run.per_s = per_s;
  run.rng = Rng(seed);
  const std::int64_t now = monotonic_ns();
  run.next_due_ns = now;
  run.until_ns = now + static_cast<std::int64_t>(seconds * 1e9);
  return drive(run);
}

LoadResult Load::drive(Run& run) {
  run_ = &run;
  const std::int64_t start = run.last_news_ns = monotonic_ns();
  for (const auto& connection : connections_) {
    if (run.open()) run.idle.push_back(connection.get());
    else if (run.more(start)) begin(*connection, 0);
  }
  std::array<epoll_event, 256> events;
  while (true) {
    if (run.open()) send_due(run);
    const bool over = run.in_flight == 0 && (run.open() ? run.next_due_ns >= run.until_ns && run.taken == run.waiting.size() : true);
    if (over) break;
    std::int64_t wait_ns = 1'000'000'000;
    if (run.open() && run.next_due_ns < run.until_ns) wait_ns = std::clamp<std::int64_t>(run.next_due_ns - monotonic_ns(), 0, wait_ns);
    const timespec wait{.tv_sec = wait_ns / 1'000'000'000, .tv_nsec = wait_ns % 1'000'000'000};
    const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
    if (count > 0) run.last_news_ns = monotonic_ns();
    for (int i = 0; i < count; ++i) {
      Connection& connection = *connections_[events[static_cast<std::size_t>(i)].data.u32];
      on_ready(connection, events[static_cast<std::size_t>(i)].events);
    }
    if (monotonic_ns() - run.last_news_ns > kStalledNs) {
      for (const auto& connection : connections_)
        if (connection->busy) end(*connection, false, "no answer came");
      if (run.in_flight > 0 || !run.open()) break;
    }
  }
  run.result.seconds = static_cast<double>(monotonic_ns() - start) / 1e9;
  run_ = nullptr;
  return std::move(run.result);
}

void Load::send_due(Run& run) {
  const std::int64_t now = monotonic_ns();
  while (run.next_due_ns <= now && run.next_due_ns < run.until_ns) {
    run.waiting.push_back(run.next_due_ns);
    run.next_due_ns += static_cast<std::int64_t>(run.rng.exponential(1e9 / run.per_s));
  }
  while (run.taken < run.waiting.size() && !run.idle.empty()) {
    Connection* connection = run.idle.back();
    run.idle.pop_back();
    begin(*connection, run.waiting[run.taken++]);
  }
}

void Load::connect(Connection& connection) {
  connection.fd = connect_locally(port_);
  connection.fresh = true;
  connection.peer_ended = false;
  if (connection.fd < 0) return;
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u32 = static_cast<std::uint32_t>(connection.index)}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
}

void Load::begin(Connection& connection, std::int64_t due_ns) {
  Run& run = *run_;
  if (!run.open() && run.left > 0) --run.left;
  connection.due_ns = due_ns > 0 ? due_ns : monotonic_ns();
  connection.busy = true;
  connection.sent = 0;
  connection.reader.reset();
  ++run.in_flight;
  if (connection.fd < 0) connect(connection);
  if (connection.fd < 0) return end(connection, false, "no connection");
  send_rest(connection);
}

void Load::send_rest(Connection& connection) {
  const std::string_view rest = run_->request.substr(connection.sent);
  if (rest.empty()) return;
  const ssize_t count = ::send(connection.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
  if (count > 0) connection.sent += static_cast<std::size_t>(count);
}

void Load::on_ready(Connection& connection, std::uint32_t events) {
  if (connection.fd < 0) return;
  if ((events & EPOLLOUT) != 0 && connection.busy && connection.sent < run_->request.size()) send_rest(connection);
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) connection.peer_ended = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) read(connection);
}

void Load::read(Connection& connection) {
  while (connection.fd >= 0) {
    const ssize_t count = ::recv(connection.fd, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      ::close(connection.fd);
      connection.fd = -1;
      if (!connection.busy) return;
      const bool whole = count == 0 && connection.reader.ends_with_connection() && (!connection.reader.is_stream() || connection.reader.saw_done());
      // A kept connection that was closed before it gave anything: the client sends once more, as every client does.
      if (!whole && !connection.fresh && !connection.reader.begun()) {
        ++run_->result.resent;
        connection.sent = 0;
        connect(connection);
        if (connection.fd >= 0) send_rest(connection);
        else end(connection, false, "no connection");
        return;
      }
      return end(connection, whole, "the connection was closed");
    }
    if (!connection.busy) {  // nothing was asked: whatever this is ends the connection
      ::close(connection.fd);
      connection.fd = -1;
      return;
    }
    const auto step = connection.reader.take({buffer_.data(), static_cast<std::size_t>(count)}, run_);
    if (step == AnswerReader::Step::kBroken) {
      ::close(connection.fd);
      connection.fd = -1;
      return end(connection, false, "the answer is not HTTP");
    }
    if (step == AnswerReader::Step::kDone) {
      connection.fresh = false;
      if (connection.reader.closes() || connection.peer_ended || connection.sent < run_->request.size()) {
        ::close(connection.fd);
        connection.fd = -1;
      }
      const bool good = connection.reader.status() == 200 && !connection.reader.saw_error() &&
                        (!connection.reader.is_stream() || connection.reader.saw_done());
      return end(connection, good, good ? std::string_view{} : std::string_view(connection.reader.beginning()));
    }
    if (static_cast<std::size_t>(count) < buffer_.size() && !connection.peer_ended) return;
  }
}

void Load::end(Connection& connection, bool good, std::string_view why) {
  Run& run = *run_;
  const std::int64_t now = monotonic_ns();
  connection.busy = false;
  --run.in_flight;
  run.result.events += connection.reader.events();
  if (good) {
    ++run.result.completed;
    run.result.latency_ms.push_back(static_cast<double>(now - connection.due_ns) / 1e6);
  } else if (run.result.failed++ == 0) {
    run.result.first_failure = fmt::format("HTTP {}: {}", connection.reader.status(), why);
  }
  if (run.open()) run.idle.push_back(&connection);
  else if (run.more(now)) begin(connection, 0);
}

}  // namespace flexpert::bench
