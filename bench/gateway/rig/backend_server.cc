#include "rig/backend_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

namespace flexpert::bench {
namespace {

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

std::string chunk(std::string_view bytes) { return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes); }

std::string event_at(std::int64_t now_ns) {
  return fmt::format(R"(data: {{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1767225600,"model":"m","t":{:020},)"
                     R"("choices":[{{"index":0,"delta":{{"content":" token"}},"finish_reason":null}}]}})"
                     "\n\n",
                     now_ns);
}

constexpr std::string_view kFinalEvent =
    R"(data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1767225600,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"
    "\n\n";

std::string whole_answer(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

std::string chat_answer(std::uint32_t content_bytes) {
  return whole_answer(fmt::format(
      R"({{"id":"chatcmpl-7","object":"chat.completion","created":1767225600,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":21,"completion_tokens":16,"total_tokens":37}}}})",
      std::string(content_bytes, 'a')));
}

}  // namespace

BackendServer::BackendServer(BackendShared& shared, const std::vector<int>& listening)
    : shared_(shared), listening_(listening), epoll_(::epoll_create1(EPOLL_CLOEXEC)), buffer_(512 * 1024) {
  for (const int fd : listening_) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
}

void BackendServer::run() {
  std::array<epoll_event, 256> events;
  while (true) {
    timespec wait{};
    const timespec* limit = nullptr;
    if (!due_.empty()) {
      const std::int64_t left = std::max<std::int64_t>(0, due_.top().at_ns - monotonic_ns());
      wait = {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
      limit = &wait;
    }
    const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), limit, nullptr);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (std::find(listening_.begin(), listening_.end(), fd) != listening_.end()) accept_from(fd);
      else on_ready(fd, events[static_cast<std::size_t>(i)].events);
    }
    const std::int64_t now = monotonic_ns();
    while (!due_.empty() && due_.top().at_ns <= now) {
      const Due due = due_.top();
      due_.pop();
      Connection* connection = connections_[static_cast<std::size_t>(due.fd)].get();
      if (connection != nullptr && connection->generation == due.generation && connection->answering) continue_answer(*connection);
    }
  }
}

void BackendServer::accept_from(int listening) {
  while (true) {
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connections_.size() <= static_cast<std::size_t>(fd)) connections_.resize(static_cast<std::size_t>(fd) + 1);
    auto& connection = connections_[static_cast<std::size_t>(fd)] = std::make_unique<Connection>();
    connection->fd = fd;
    connection->generation = ++generations_;
    ++shared_.counts.open_connections;
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.fd = fd}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
}

void BackendServer::on_ready(int fd, std::uint32_t events) {
  Connection* const connection = connections_[static_cast<std::size_t>(fd)].get();
  if (connection == nullptr) return;
  if ((events & EPOLLOUT) != 0 && !connection->out.empty()) flush(*connection);
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
  while (true) {
    const ssize_t count = ::recv(fd, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return lose(*connection);
    if (!take(*connection, {buffer_.data(), static_cast<std::size_t>(count)})) {
      ++shared_.counts.malformed;
      return lose(*connection);
    }
    // A short read has emptied the socket, unless the peer's end comes behind it.
    if (static_cast<std::size_t>(count) < buffer_.size() && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
  }
}

bool BackendServer::take(Connection& connection, std::string_view bytes) {
  while (!bytes.empty()) {
    if (connection.answering) {
      connection.pending.append(bytes);
      return true;
    }
    if (!connection.in_body) {
      const std::size_t before = connection.head.size();
      connection.head.append(bytes.substr(0, 64 * 1024));
      const std::size_t end = connection.head.find("\r\n\r\n", before < 3 ? 0 : before - 3);
      if (end == std::string::npos) return connection.head.size() < 64 * 1024;
      bytes.remove_prefix(end + 4 - before);
      connection.head.resize(end + 4);
      if (!take_head(connection)) return false;
    }
    const std::size_t count = std::min<std::uint64_t>(connection.body_left, bytes.size());
    if (count > 0 && !connection.body_seen) look_at_body(connection, bytes.substr(0, count));
    connection.body_left -= count;
    shared_.counts.body_bytes += count;
    bytes.remove_prefix(count);
    if (connection.body_left == 0) answer(connection);
  }
  return true;
}

bool BackendServer::take_head(Connection& connection) {
  std::string& head = connection.head;
  const std::string_view line = std::string_view(head).substr(0, head.find('\r'));
  connection.head_only = line.starts_with("HEAD");
  connection.path_kind = line.find(" /health") != std::string_view::npos ? "health" : line.find(" /v1/models") != std::string_view::npos ? "models" : "chat";
  connection.in_body = true;
  connection.body_seen = false;
  connection.body_left = 0;
  connection.streaming = false;
  connection.number = 0;
  // Both spellings that proxies send.
  std::size_t at = head.find("\r\nContent-Length:");
  if (at == std::string::npos) at = head.find("\r\ncontent-length:");
  if (at != std::string::npos) connection.body_left = std::strtoull(head.c_str() + at + 17, nullptr, 10);
  else if (connection.path_kind == "chat") return false;
  return true;
}

void BackendServer::look_at_body(Connection& connection, std::string_view first_bytes) {
  connection.body_seen = true;
  const std::string_view first = first_bytes.substr(0, 200);
  connection.streaming = first.find("\"stream\":true") != std::string_view::npos;
  constexpr std::string_view kUser = "\"user\":\"t-";
  if (const std::size_t at = first.find(kUser); at != std::string_view::npos)
    connection.number = static_cast<std::uint32_t>(std::strtoul(std::string(first.substr(at + kUser.size(), 8)).c_str(), nullptr, 10));
}

void BackendServer::answer(Connection& connection) {
  connection.in_body = false;
  connection.head.clear();
  connection.answering = true;
  connection.begun = false;
  if (connection.path_kind != "chat") {
    send(connection, connection.path_kind == "health" ? whole_answer(connection.head_only ? "" : "ok")
                                                      : whole_answer(R"({"object":"list","data":[{"id":"m","object":"model"}]})"));
    connection.answering = false;
    return;
  }
  ++shared_.counts.requests;
  ++shared_.counts.open_requests;
  if (connection.number != 0) shared_.counts.begun_at_ns[connection.number % kTrackedRequests] = monotonic_ns();
  connection.sent_events = 0;
  connection.events = shared_.plan.events;
  connection.interval_us = shared_.plan.interval_us;
  const std::uint32_t delay = shared_.plan.delay_us;
  if (delay > 0) return schedule(connection, monotonic_ns() + static_cast<std::int64_t>(rng_.below(delay) + 1) * 1000);
  continue_answer(connection);
}

void BackendServer::continue_answer(Connection& connection) {
  if (!connection.streaming) {
    send_json(connection);
    return finish(connection);
  }
  if (connection.interval_us > 0) return send_event(connection);
  if (instant_events_ != connection.events) {
    instant_events_ = connection.events;
    instant_ = kStreamHead;
    for (std::uint32_t i = 0; i < connection.events; ++i) instant_ += chunk(event_at(0));
    instant_ += chunk(kFinalEvent) + chunk(kDone);
    instant_ += kLastChunk;
  }
  shared_.counts.events += connection.events;
  send(connection, instant_);
  finish(connection);
}

void BackendServer::send_json(Connection& connection) {
  const std::uint32_t content = shared_.plan.content_bytes;
  if (content != json_content_) {
    json_content_ = content;
    json_ = chat_answer(content);
  }
  send(connection, json_);
}

void BackendServer::send_event(Connection& connection) {
  const std::int64_t now = monotonic_ns();
  std::string bytes;
  if (!connection.begun) bytes = kStreamHead;
  connection.begun = true;
  if (connection.sent_events < connection.events) {
    ++connection.sent_events;
    ++shared_.counts.events;
    bytes += chunk(event_at(now));
    send(connection, bytes);
    if (connection.fd >= 0) schedule(connection, now + connection.interval_us * 1000LL);
    return;
  }
  bytes += chunk(kFinalEvent) + chunk(kDone);
  bytes += kLastChunk;
  send(connection, bytes);
  finish(connection);
}

void BackendServer::finish(Connection& connection) {
  if (!connection.answering) return;
  connection.answering = false;
  ++shared_.counts.answered;
  --shared_.counts.open_requests;
  if (connection.pending.empty()) return;
  const std::string pending = std::exchange(connection.pending, {});
  take(connection, pending);
}

void BackendServer::send(Connection& connection, std::string_view bytes) {
  if (!connection.out.empty()) {
    connection.out.append(bytes);
    return;
  }
  const ssize_t count = ::send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  // A broken connection is told by its events.
  if (count < 0 && errno != EAGAIN && errno != EINTR) return;
  connection.out.append(bytes.substr(count > 0 ? static_cast<std::size_t>(count) : 0));
}

void BackendServer::flush(Connection& connection) {
  const ssize_t count = ::send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
  if (count > 0) connection.out.erase(0, static_cast<std::size_t>(count));
}

void BackendServer::lose(Connection& connection) {
  if (connection.answering) {
    ++shared_.counts.cut;
    --shared_.counts.open_requests;
    if (connection.number != 0) shared_.counts.cut_at_ns[connection.number % kTrackedRequests] = monotonic_ns();
  }
  --shared_.counts.open_connections;
  const int fd = connection.fd;
  ::close(fd);
  connections_[static_cast<std::size_t>(fd)].reset();
}

}  // namespace flexpert::bench
