#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::bench {

/// Streams that have begun and are silent: each on a connection of its own, its first event read. Closed at the end.
class IdleStreams {
 public:
  /// Opens `count`, a few at a time. Errors: kUnavailable when one does not begin within 30 s.
  static Result<IdleStreams> open(std::uint16_t port, std::size_t count, std::string_view request);
  ~IdleStreams();
  IdleStreams(IdleStreams&& other) noexcept { fds_.swap(other.fds_); }
  IdleStreams& operator=(IdleStreams&&) = delete;
  [[nodiscard]] std::size_t count() const { return fds_.size(); }
  /// Returns how many the other side has not closed.
  [[nodiscard]] std::size_t still_open() const;

 private:
  IdleStreams() = default;
  std::vector<int> fds_;
};

}  // namespace flexpert::bench
