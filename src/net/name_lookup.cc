#include "net/name_lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>

#include "base/check.h"
#include "base/mutex.h"
#include "net/unique_fd.h"

namespace flexpert::net {
namespace {

std::optional<Address> numeric_address(const addrinfo& found, std::uint16_t port) {
  char text[INET6_ADDRSTRLEN] = {};
  if (found.ai_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, found.ai_addr, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  } else if (found.ai_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, found.ai_addr, sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  } else {
    return std::nullopt;
  }
  return Address{.host_or_path = text, .port = port};
}

}  // namespace

Result<std::vector<Address>> look_up(const Address& address) {
  if (!address.needs_lookup()) return std::vector<Address>{address};
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int status = ::getaddrinfo(address.host_or_path.c_str(), nullptr, &wanted, &list);
  if (status != 0) {
    const ErrorCode code = status == EAI_NONAME || status == EAI_NODATA ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
    const char* why = status == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(status);
    return fail(code, "cannot look up the host name {}: {}", address.host_or_path, why);
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* found = list; found != nullptr; found = found->ai_next) {
    auto numeric = numeric_address(*found, address.port);
    if (numeric && std::find(addresses.begin(), addresses.end(), *numeric) == addresses.end()) addresses.push_back(std::move(*numeric));
  }
  if (addresses.empty()) return fail(ErrorCode::kNotFound, "the host name has no IP address: {}", address.host_or_path);
  return addresses;
}

struct NameLookup::Answer {
  UniqueFd ready;  ///< an eventfd, readable once `result` is there
  Mutex mutex;
  std::optional<Result<std::vector<Address>>> result GUARDED_BY(mutex);
};

Result<std::unique_ptr<NameLookup>> NameLookup::start(EventLoop& loop, const Address& address, Done done) {
  auto answer = std::make_shared<Answer>();
  answer->ready.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!answer->ready) return fail(ErrorCode::kResourceExhausted, "cannot look up {}: {}", address.host_or_path, std::strerror(errno));
  try {
    std::thread([answer, address] {
      auto result = look_up(address);
      const MutexLock lock(answer->mutex);
      answer->result = std::move(result);
      const std::uint64_t one = 1;
      const ssize_t written = ::write(answer->ready.get(), &one, sizeof one);
      FLEXPERT_CHECK(written == sizeof one, "an eventfd that is written once takes it");
    }).detach();  // getaddrinfo() cannot be interrupted: nobody may have to wait for it
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kResourceExhausted, "cannot look up {}: {}", address.host_or_path, error.what());
  }
  return std::unique_ptr<NameLookup>(new NameLookup(loop, std::move(answer), std::move(done)));
}

NameLookup::NameLookup(EventLoop& loop, std::shared_ptr<Answer> answer, Done done)
    : loop_(loop), answer_(std::move(answer)), done_(std::move(done)) {
  loop_.watch(answer_->ready.get(), EPOLLIN, this);
}

NameLookup::~NameLookup() {
  if (answer_) loop_.unwatch(answer_->ready.get());
}

void NameLookup::on_events(std::uint32_t) {
  loop_.unwatch(answer_->ready.get());
  const auto answer = std::exchange(answer_, nullptr);
  auto done = std::exchange(done_, nullptr);
  std::optional<Result<std::vector<Address>>> result;
  {
    const MutexLock lock(answer->mutex);
    result = std::move(answer->result);
  }
  done(std::move(*result));  // may destroy this
}

}  // namespace flexpert::net
