#include "store/leader_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace flexpert::store {

Result<std::optional<LeaderLock>> LeaderLock::try_take(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(ErrorCode::kUnavailable, "lock file cannot be made: {}: {}", path, std::strerror(errno));
  LeaderLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return std::optional<LeaderLock>(std::move(lock));
  if (errno == EWOULDBLOCK) return std::optional<LeaderLock>();
  return fail(ErrorCode::kUnavailable, "lock file cannot be locked: {}: {}", path, std::strerror(errno));
}

std::string LeaderLock::holder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 256> text{};
  const ssize_t count = ::read(fd, text.data(), text.size());
  ::close(fd);
  std::string who(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  while (!who.empty() && who.back() == '\n') who.pop_back();
  return who;
}

LeaderLock::~LeaderLock() {
  if (fd_ >= 0) ::close(fd_);
}

LeaderLock::LeaderLock(LeaderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LeaderLock& LeaderLock::operator=(LeaderLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Result<void> LeaderLock::say(const std::string& who) const {
  const std::string line = who + "\n";
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()))
    return fail(ErrorCode::kUnavailable, "lock file cannot be written: {}", std::strerror(errno));
  return {};
}

}  // namespace flexpert::store
