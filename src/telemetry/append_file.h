#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace flexpert::telemetry {

/// A file that is only ever appended to. Belongs to one thread.
class AppendFile {
 public:
  /// Makes the file (0640) if it is not there; "-" is stdout. Errors: kFailedPrecondition with path and reason.
  static Result<AppendFile> open(const std::string& path);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  /// Writes all of it, in one call where the system takes it so. Errors: kUnavailable with the reason; then a part may be there.
  Result<void> append(std::string_view bytes);
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  AppendFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_ = -1;
};

}  // namespace flexpert::telemetry
