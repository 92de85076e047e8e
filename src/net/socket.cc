#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/name_lookup.h"

namespace flexpert::net {
namespace {

struct SocketName {
  sockaddr_storage storage{};
  socklen_t length = 0;
  int family = AF_UNSPEC;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Returns the kernel's form of `address`; "*" is every interface of IPv4 and IPv6 when listening.
SocketName socket_name(const Address& address) {
  SocketName name;
  if (address.is_unix) {
    sockaddr_un unix_name{};
    unix_name.sun_family = AF_UNIX;
    std::memcpy(unix_name.sun_path, address.host_or_path.data(), std::min(address.host_or_path.size(), sizeof unix_name.sun_path - 1));
    std::memcpy(&name.storage, &unix_name, sizeof unix_name);
    name.length = sizeof unix_name;
    name.family = AF_UNIX;
    return name;
  }
  if (address.host_or_path.find(':') != std::string::npos || address.host_or_path == "*") {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    v6.sin6_addr = in6addr_any;
    if (address.host_or_path != "*") ::inet_pton(AF_INET6, address.host_or_path.c_str(), &v6.sin6_addr);
    std::memcpy(&name.storage, &v6, sizeof v6);
    name.length = sizeof v6;
    name.family = AF_INET6;
    return name;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port);
  const char* host = address.host_or_path == "localhost" ? "127.0.0.1" : address.host_or_path.c_str();
  ::inet_pton(AF_INET, host, &v4.sin_addr);
  std::memcpy(&name.storage, &v4, sizeof v4);
  name.length = sizeof v4;
  name.family = AF_INET;
  return name;
}

SocketName every_ipv4_interface(std::uint16_t port) { return socket_name(Address{.host_or_path = "0.0.0.0", .port = port}); }

ErrorCode code_of(int error) {
  switch (error) {
    case EACCES:
    case EPERM: return ErrorCode::kPermissionDenied;
    case EADDRINUSE: return ErrorCode::kFailedPrecondition;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return ErrorCode::kResourceExhausted;
    case ETIMEDOUT: return ErrorCode::kDeadlineExceeded;
    default: return ErrorCode::kUnavailable;
  }
}

Result<UniqueFd> new_socket(int family) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail(code_of(errno), "cannot make a socket: {}", std::strerror(errno));
  return fd;
}

void send_small_packets_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// Removes a socket file whose server is gone, so that its path can be bound again.
Result<void> remove_stale_socket(const Address& address) {
  struct stat file {};
  if (::lstat(address.host_or_path.c_str(), &file) != 0) return {};
  if (!S_ISSOCK(file.st_mode))
    return fail(ErrorCode::kFailedPrecondition, "cannot listen, the path exists and is not a socket: {}", address.host_or_path);
  const SocketName name = socket_name(address);
  FLEXPERT_ASSIGN(const UniqueFd probe, new_socket(AF_UNIX));
  if (::connect(probe.get(), name.get(), name.length) == 0 || errno == EAGAIN)
    return fail(ErrorCode::kFailedPrecondition, "cannot listen, another process answers on: {}", address.to_string());
  if (errno == ECONNREFUSED) ::unlink(address.host_or_path.c_str());
  return {};
}

}  // namespace

Result<UniqueFd> listen_on(const Address& address, int backlog, bool share_port) {
  if (address.needs_lookup()) {
    FLEXPERT_ASSIGN(const std::vector<Address> found, look_up(address));
    auto listening = listen_on(found.front(), backlog, share_port);
    if (!listening) return fail(listening.error().with_context(address.to_string()));
    return listening;
  }
  if (address.is_unix) FLEXPERT_TRY(remove_stale_socket(address));
  SocketName name = socket_name(address);
  Result<UniqueFd> made = new_socket(name.family);
  if (!made && address.host_or_path == "*") {  // a machine without IPv6
    name = every_ipv4_interface(address.port);
    made = new_socket(name.family);
  }
  if (!made) return made;
  const int on = 1;
  const int off = 0;
  if (!address.is_unix) ::setsockopt(made->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!address.is_unix && share_port) ::setsockopt(made->get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (name.family == AF_INET6)
    ::setsockopt(made->get(), IPPROTO_IPV6, IPV6_V6ONLY, address.host_or_path == "*" ? &off : &on, sizeof on);
  if (::bind(made->get(), name.get(), name.length) != 0)
    return fail(code_of(errno), "cannot bind {}: {}", address.to_string(), std::strerror(errno));
  if (::listen(made->get(), backlog) != 0)
    return fail(code_of(errno), "cannot listen on {}: {}", address.to_string(), std::strerror(errno));
  return made;
}

Result<Address> bound_address(int fd, const Address& asked) {
  if (asked.is_unix) return asked;
  SocketName name;
  name.length = sizeof name.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name.storage), &name.length) != 0)
    return fail(ErrorCode::kInternal, "cannot read the address of a listening socket: {}", std::strerror(errno));
  Address bound = asked;
  if (name.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &name.storage, sizeof v6);
    bound.port = ntohs(v6.sin6_port);
  } else {
    sockaddr_in v4{};
    std::memcpy(&v4, &name.storage, sizeof v4);
    bound.port = ntohs(v4.sin_port);
  }
  return bound;
}

Result<Address> adopt_listening(int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || listening == 0)
    return fail(ErrorCode::kInvalidArgument, "descriptor {} is not a listening socket", fd);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  sockaddr_storage name{};
  length = sizeof name;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0)
    return fail(ErrorCode::kInternal, "address of a listening socket cannot be read: {}", std::strerror(errno));
  if (name.ss_family == AF_UNIX) {
    sockaddr_un unix_name{};
    std::memcpy(&unix_name, &name, sizeof unix_name);
    return Address::parse(std::string("unix:") + unix_name.sun_path);
  }
  char host[INET6_ADDRSTRLEN] = {};
  if (name.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &name, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    return Address::parse(fmt::format("{}:{}", host, ntohs(v4.sin_port)));
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &name, sizeof v6);
  if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) return Address::parse(fmt::format("*:{}", ntohs(v6.sin6_port)));
  ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
  return Address::parse(fmt::format("[{}]:{}", host, ntohs(v6.sin6_port)));
}

Result<UniqueFd> accept_one(int listening_fd) {
  while (true) {
    UniqueFd fd(::accept4(listening_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      send_small_packets_at_once(fd.get());  // refused by Unix sockets, which need no such thing
      return fd;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return fail(ErrorCode::kUnavailable, "no connection is waiting");
    const int error = errno;
    const ErrorCode code = code_of(error) == ErrorCode::kResourceExhausted ? ErrorCode::kResourceExhausted : ErrorCode::kInternal;
    return fail(code, "cannot accept a connection: {}", std::strerror(error));
  }
}

Result<UniqueFd> start_connect(const Address& address) {
  if (!address.is_unix && address.host_or_path == "*")
    return fail(ErrorCode::kInvalidArgument, "'*' is an address to listen on, not to connect to");
  if (address.needs_lookup()) return fail(ErrorCode::kInvalidArgument, "an IP address is needed here, not a host name: {}", address.to_string());
  const SocketName name = socket_name(address);
  FLEXPERT_ASSIGN(UniqueFd fd, new_socket(name.family));
  if (!address.is_unix) send_small_packets_at_once(fd.get());
  while (::connect(fd.get(), name.get(), name.length) != 0) {
    if (errno == EINPROGRESS) break;
    if (errno == EINTR) continue;
    return fail(code_of(errno), "cannot connect to {}: {}", address.to_string(), std::strerror(errno));
  }
  return fd;
}

Result<void> connect_result(int fd, const Address& address) {
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) return fail(code_of(error), "cannot connect to {}: {}", address.to_string(), std::strerror(error));
  return {};
}

std::string peer_name(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return "unknown";
  char text[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v4.sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
  }
  return "unix";
}

}  // namespace flexpert::net
