#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace flexpert::bench {

/// Requests that are told apart by number, so that both ends can say when one of them ended.
inline constexpr std::size_t kTrackedRequests = 1 << 16;

/// What the backend is to do; changed at any time, for requests that come from then on.
struct BackendPlan {
  std::atomic<std::uint32_t> content_bytes{64};   ///< of a whole answer's text
  std::atomic<std::uint32_t> events{8};           ///< of a stream, before its [DONE]
  std::atomic<std::uint32_t> interval_us{0};      ///< between two events; 0: all at once
  std::atomic<std::uint32_t> delay_us{0};         ///< before a whole answer and a stream's first event: evenly random up to this
};

/// What the backend saw. In memory that parent and backend share.
struct BackendCounts {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> answered{0};         ///< to their end
  std::atomic<std::uint64_t> cut{0};              ///< whose connection was closed before that
  std::atomic<std::uint64_t> events{0};
  std::atomic<std::uint64_t> body_bytes{0};
  std::atomic<std::uint64_t> malformed{0};
  std::atomic<std::int64_t> open_requests{0};
  std::atomic<std::int64_t> open_connections{0};
  std::array<std::atomic<std::int64_t>, kTrackedRequests> cut_at_ns{};    ///< CLOCK_MONOTONIC, by number; 0 = was not cut
  std::array<std::atomic<std::int64_t>, kTrackedRequests> begun_at_ns{};  ///< when the request had come
};

struct BackendShared {
  BackendPlan plan;
  BackendCounts counts;
};

/// An OpenAI-compatible server in a process of its own that answers as fast as epoll allows: JSON, or with `"stream":true` among the
/// first bytes of the body server-sent events of the given number and pace, each with the time at which it was sent ("t":NS).
/// A request whose body has `"user":"t-00000042"` is number 42. Also answers GET /health and /v1/models (model "m").
class Backend {
 public:
  /// Starts it with `ports` listening sockets, on `core` (-1: any).
  static Result<std::unique_ptr<Backend>> start(std::size_t ports, int core);
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return ports_; }
  [[nodiscard]] BackendPlan& plan() { return shared_->plan; }
  [[nodiscard]] const BackendCounts& counts() const { return shared_->counts; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Kills it without warning; its open counts are 0 then.
  void kill();
  /// Starts it again on the same ports.
  Result<void> restart();

 private:
  Backend() = default;
  Result<void> spawn();

  int core_ = -1;
  pid_t pid_ = -1;
  std::vector<std::uint16_t> ports_;
  BackendShared* shared_ = nullptr;
};

/// CLOCK_MONOTONIC in nanoseconds: the same clock in all processes.
std::int64_t monotonic_ns();

}  // namespace flexpert::bench
