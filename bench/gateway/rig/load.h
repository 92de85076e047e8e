#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rig/answer_reader.h"

namespace flexpert::bench {

/// What one piece of load came to.
struct LoadResult {
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;           ///< not 200, broken, cut, or a stream without [DONE]
  std::uint64_t resent = 0;           ///< sent again because a kept connection had been closed before it gave anything
  std::uint64_t events = 0;           ///< of streams
  double seconds = 0;
  std::vector<double> latency_ms{};   ///< per request; in open loop from the time at which it was due
  std::vector<double> event_ms{};     ///< per event, from the backend's sending to our reading
  std::string first_failure{};
};

/// A load generator with kept connections to one port, one thread, edge-triggered epoll. It connects again where a connection was
/// closed, as any client does.
class Load {
 public:
  Load(std::uint16_t port, std::size_t connections);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// Sends `count` requests, each connection its next one as soon as the last is answered.
  LoadResult closed_loop(std::string_view request, std::uint64_t count);
  /// Sends for `seconds` at `per_s` on average (a Poisson process), whatever comes back: a request that finds no free connection
  /// waits, and its latency counts from when it was due.
  LoadResult open_loop(std::string_view request, double per_s, double seconds, std::uint64_t seed);
  /// As closed_loop(), until `until_ns` (CLOCK_MONOTONIC) instead of a count; then the answers in flight are waited for.
  LoadResult closed_loop_until(std::string_view request, std::int64_t until_ns);

 private:
  struct Connection;
  struct Run;

  void connect(Connection& connection);
  void begin(Connection& connection, std::int64_t due_ns);
  void send_rest(Connection& connection);
  void on_ready(Connection& connection, std::uint32_t events);
  void read(Connection& connection);
  void end(Connection& connection, bool good, std::string_view why);
  LoadResult drive(Run& run);
  void send_due(Run& run);

  std::uint16_t port_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<char> buffer_;
  Run* run_ = nullptr;
};

}  // namespace flexpert::bench
