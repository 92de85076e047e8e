#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace flexpert::store {

/// Lets one of several controllers on a machine lead: a lock (flock) on a file, which the kernel gives back when its
/// holder dies, however it dies. The file names the holder.
class LeaderLock {
 public:
  /// Returns the lock, or nothing if another process has it. Errors: the file cannot be made.
  static Result<std::optional<LeaderLock>> try_take(const std::string& path);
  /// Says who holds the lock of `path`: "pid 4711, http://127.0.0.1:9001", as far as it said so itself; may be empty.
  static std::string holder(const std::string& path);

  ~LeaderLock();
  LeaderLock(LeaderLock&& other) noexcept;
  LeaderLock& operator=(LeaderLock&& other) noexcept;
  /// Writes who holds it into the file.
  Result<void> say(const std::string& who) const;

 private:
  explicit LeaderLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace flexpert::store
