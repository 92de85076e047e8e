#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace flexpert::config {

/// Tells when files have changed, by what the system says of them: identity, size and times. A file that is not there is one
/// state more. Looking costs a system call a file. Used by one thread.
class FileWatch {
 public:
  /// Remembers how the files are now. Empty paths are left out.
  explicit FileWatch(std::vector<std::string> paths);
  /// Tells whether any of them is not as it was at the last call.
  bool changed();

 private:
  struct Stamp {
    std::uint64_t device = 0, inode = 0;
    std::int64_t size = -1, modified_ns = 0, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stamp_of(const std::string& path);

  std::vector<std::string> paths_;
  std::vector<Stamp> stamps_;
};

/// The same for files that people write with whatever they have: told only when the files have been still from one call to the
/// next, so that nobody reads half of one.
class SettledFileWatch {
 public:
  explicit SettledFileWatch(std::vector<std::string> paths) : watch_(std::move(paths)) {}
  bool changed() {
    if (watch_.changed()) {
      moving_ = true;
      return false;
    }
    return std::exchange(moving_, false);
  }

 private:
  FileWatch watch_;
  bool moving_ = false;
};

}  // namespace flexpert::config
