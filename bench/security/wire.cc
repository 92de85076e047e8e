#include "security/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace flexpert::bench::security {
namespace {

/// Removes chunked framing; empty if the body is not whole yet.
std::optional<std::string> dechunk(std::string_view bytes, std::size_t& used) {
  std::string body;
  std::size_t at = 0;
  for (;;) {
    const std::size_t line = bytes.find("\r\n", at);
    if (line == std::string_view::npos) return std::nullopt;
    const std::size_t size = std::strtoull(std::string(bytes.substr(at, line - at)).c_str(), nullptr, 16);
    at = line + 2;
    if (bytes.size() < at + size + 2) return std::nullopt;
    body += bytes.substr(at, size);
    at += size + 2;
    if (size == 0) {
      used = at;
      return body;
    }
  }
}

}  // namespace

std::string field_of(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    if (line.size() > name.size() && line[name.size()] == ':' && strncasecmp(line.data(), name.data(), name.size()) == 0) {
      std::string_view value = line.substr(name.size() + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      return std::string(value);
    }
  }
  return {};
}

int count_fields(std::string_view head, std::string_view name) {
  int count = 0;
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2);
    if (line.size() > name.size() && line[name.size()] == ':' && strncasecmp(line.data(), name.data(), name.size()) == 0) ++count;
  }
  return count;
}

std::string WireAnswer::field(std::string_view name) const { return field_of(head, name); }

std::vector<WireAnswer> take_answers(std::string& bytes, bool closed, bool heads) {
  std::vector<WireAnswer> answers;
  for (;;) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string::npos || !bytes.starts_with("HTTP/1.")) return answers;
    WireAnswer answer;
    answer.head = bytes.substr(0, end + 2);
    answer.status = std::atoi(bytes.c_str() + 9);
    const std::string_view rest = std::string_view(bytes).substr(end + 4);
    std::size_t used = 0;
    if (answer.status >= 100 && answer.status < 200) {
      bytes.erase(0, end + 4);
      continue;
    }
    if (heads) {
      bytes.erase(0, end + 4);
      answers.push_back(std::move(answer));
      continue;
    }
    if (strcasecmp(answer.field("Transfer-Encoding").c_str(), "chunked") == 0) {
      const auto body = dechunk(rest, used);
      if (!body) return answers;
      answer.body = *body;
    } else if (const std::string length = answer.field("Content-Length"); !length.empty()) {
      used = std::strtoull(length.c_str(), nullptr, 10);
      if (rest.size() < used) return answers;
      answer.body = rest.substr(0, used);
    } else if (!closed) {
      return answers;
    } else {
      used = rest.size();
      answer.body = rest;
    }
    bytes.erase(0, end + 4 + used);
    answers.push_back(std::move(answer));
  }
}

Wire::Wire(std::uint16_t port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd_ >= 0 && ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
  const int on = 1;
  if (fd_ >= 0) ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Wire::~Wire() { close(); }

void Wire::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Wire::shut_sending() {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
}

bool Wire::send(std::string_view bytes) {
  while (fd_ >= 0 && !bytes.empty()) {
    pollfd ready{fd_, POLLOUT, 0};
    if (::poll(&ready, 1, 3000) <= 0) return false;
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return fd_ >= 0;
}

WireOutcome Wire::receive(std::size_t enough, Millis silence) {
  WireOutcome outcome;
  while (fd_ >= 0) {
    for (WireAnswer& answer : take_answers(buffer_, false, heads_)) outcome.answers.push_back(std::move(answer));
    if (outcome.answers.size() >= enough) return outcome;
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(silence.count())) <= 0) break;
    char piece[65536];
    const ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
    if (got <= 0) {
      outcome.closed = true;
      for (WireAnswer& answer : take_answers(buffer_, true, heads_)) outcome.answers.push_back(std::move(answer));
      break;
    }
    buffer_.append(piece, static_cast<std::size_t>(got));
  }
  outcome.rest = buffer_;
  return outcome;
}

WireOutcome attack(std::uint16_t port, std::string_view bytes, std::size_t enough, Millis silence) {
  Wire wire(port);
  if (bytes.starts_with("HEAD ")) wire.expect_heads();
  wire.send(bytes);
  return wire.receive(enough, silence);
}

}  // namespace flexpert::bench::security
