#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "net/unique_fd.h"

namespace flexpert::net {

/// The bytes of one connected, non-blocking socket: where reading and writing meet the kernel, and the place for encryption. It
/// buffers nothing and watches nothing; its owner does, edge-triggered. No member throws or blocks.
class Channel {
 public:
  Channel() = default;
  explicit Channel(UniqueFd connected) : fd_(std::move(connected)) {}

  struct Taken {
    std::size_t bytes = 0;
    bool drained = false;  ///< nothing more is there now: the next event will tell
    bool ended = false;    ///< the peer sends no more
    int error = 0;         ///< errno of a connection that broke
  };
  /// Reads once, up to `room` bytes.
  Taken read(char* to, std::size_t room);

  struct Sent {
    std::size_t bytes = 0;
    int error = 0;  ///< errno of a connection that broke
  };
  /// Sends what the kernel takes now.
  Sent write(const char* from, std::size_t bytes);
  Sent write(std::span<const iovec> parts);

  /// Says that no more will be sent.
  void shut_down_writing();
  /// Closes so that a TCP peer sees a reset, never an orderly end.
  void reset();
  void close() { fd_.reset(); }

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool open() const { return static_cast<bool>(fd_); }

 private:
  UniqueFd fd_;
};

}  // namespace flexpert::net
