#include "security/recording_backend.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "security/wire.h"

namespace flexpert::bench::security {
namespace {

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace

std::string Seen::field(std::string_view name) const { return field_of(head, name); }

RecordingBackend::RecordingBackend(std::vector<std::string> models) : models_(std::move(models)) {
  listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::listen(listening_, 256);
  socklen_t size = sizeof address;
  ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

RecordingBackend::~RecordingBackend() {
  stopping_ = true;
  ::shutdown(listening_, SHUT_RDWR);
  acceptor_.join();
  ::close(listening_);
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

std::vector<Seen> RecordingBackend::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(seen_, {});
}

std::string RecordingBackend::malformed() const {
  const std::lock_guard lock(mutex_);
  return malformed_;
}

void RecordingBackend::say(std::optional<Said> said) {
  const std::lock_guard lock(mutex_);
  said_ = std::move(said);
}

void RecordingBackend::accept_all() {
  for (;;) {
    const int fd = ::accept(listening_, nullptr, nullptr);
    if (fd < 0 || stopping_) return;
    ++connections_;
    const std::lock_guard lock(mutex_);
    open_.insert(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void RecordingBackend::serve(int fd) {
  std::string buffer;
  char piece[65536];
  for (;;) {
    const std::size_t end = buffer.find("\r\n\r\n");
    if (end != std::string::npos) {
      Seen seen{buffer.substr(0, end + 2), {}};
      const std::size_t length = std::strtoull(seen.field("Content-Length").c_str(), nullptr, 10);
      const bool fine = (seen.head.starts_with("POST /") || seen.head.starts_with("GET /")) && seen.field("Transfer-Encoding").empty() &&
                        count_fields(seen.head, "Content-Length") <= 1 && count_fields(seen.head, "Host") == 1;
      if (!fine) {
        const std::lock_guard lock(mutex_);
        malformed_ += buffer;
        break;
      }
      if (buffer.size() >= end + 4 + length) {
        seen.body = buffer.substr(end + 4, length);
        buffer.erase(0, end + 4 + length);
        if (!seen.head.starts_with("GET ")) {
          const std::lock_guard lock(mutex_);
          seen_.push_back(seen);
        }
        if (!answer(fd, seen)) break;
        continue;
      }
    }
    const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
    if (got <= 0) break;
    buffer.append(piece, static_cast<std::size_t>(got));
  }
  const std::lock_guard lock(mutex_);
  open_.erase(fd);
  ::close(fd);
}

bool RecordingBackend::answer(int fd, const Seen& seen) {
  if (seen.head.starts_with("GET ")) {
    std::string list = R"({"object":"list","data":[)";
    for (const std::string& model : models_) list += fmt::format(R"({}{{"id":"{}","object":"model"}})", model == models_.front() ? "" : ",", model);
    list += "]}";
    send_all(fd, fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", list.size(), list));
    return true;
  }
  std::optional<Said> said;
  {
    const std::lock_guard lock(mutex_);
    said = said_;
  }
  if (said) {
    send_all(fd, said->bytes);
    const linger none{.l_onoff = 1, .l_linger = 0};
    if (said->then == Said::Then::kResets) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return said->then == Said::Then::kGoesOn;
  }
  const int number = ++answered_;
  if (const std::size_t at = seen.body.find("reply:"); at != std::string::npos) {
    const std::string body = R"({"error":{"message":"as you like","type":"test","param":null,"code":"asked"}})";
    send_all(fd, fmt::format("HTTP/1.1 {} Asked\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                             std::atoi(seen.body.c_str() + at + 6), body.size(), body));
    return true;
  }
  if (seen.body.find("\"stream\":true") != std::string::npos) {
    std::string events = fmt::format("data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"answer {}\"}}}}]}}\n\n", number);
    events += "data: [DONE]\n\n";
    send_all(fd, fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                             events.size(), events));
    return true;
  }
  const std::string body = fmt::format(
      R"({{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"finish_reason":"stop","message":{{"role":"assistant","content":"answer {}"}}}}],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}})",
      number);
  send_all(fd, fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  return true;
}

}  // namespace flexpert::bench::security
