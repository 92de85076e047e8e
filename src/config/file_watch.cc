#include "config/file_watch.h"

#include <sys/stat.h>

#include <algorithm>

namespace flexpert::config {

FileWatch::FileWatch(std::vector<std::string> paths) : paths_(std::move(paths)) {
  std::erase_if(paths_, [](const std::string& path) { return path.empty(); });
  for (const std::string& path : paths_) stamps_.push_back(stamp_of(path));
}

FileWatch::Stamp FileWatch::stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  const auto ns = [](const timespec& time) { return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; };
  return {status.st_dev, status.st_ino, status.st_size, ns(status.st_mtim), ns(status.st_ctim)};
}

bool FileWatch::changed() {
  bool any = false;
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    const Stamp now = stamp_of(paths_[i]);
    any = any || now != stamps_[i];
    stamps_[i] = now;
  }
  return any;
}

}  // namespace flexpert::config
