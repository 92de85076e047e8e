#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/result.h"

namespace flexpert::net {

/// Receives readiness of one file descriptor. `events` are EPOLL* bits.
class FdHandler {
 public:
  virtual ~FdHandler() = default;
  virtual void on_events(std::uint32_t events) = 0;
};

using TimerId = std::uint64_t;

/// A single-threaded epoll loop with timers and a mailbox. All members but post() and stop() belong to the thread
/// that runs it. A handler may unwatch any descriptor, its own included, from inside on_events(): later events of
/// the same batch for a descriptor no longer watched are not delivered.
class EventLoop {
 public:
  using Task = std::move_only_function<void()>;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs until stop(). Tasks posted before stop() took effect are run before it returns.
  void run();
  /// Runs what is due now and at most one wait of up to `longest_wait`; for tests and for blocking callers.
  void run_once(Duration longest_wait);
  /// Makes run() return. Any thread.
  void stop();
  /// Runs `task` on the loop's thread, in order of posting. Any thread.
  void post(Task task);

  /// Runs `task` once after `delay`. Returns an id for cancel(); ids are never reused; 0 is never an id.
  TimerId call_after(Duration delay, Task task);
  /// Forgets a timer; a fired, cancelled or zero id is ignored.
  void cancel(TimerId timer);

  /// Watches `fd` for EPOLL* `events` (level-triggered). `handler` must outlive unwatch(fd).
  void watch(int fd, std::uint32_t events, FdHandler* handler);
  void modify(int fd, std::uint32_t events);
  void unwatch(int fd);

  /// Returns the time at which this turn of the loop began.
  [[nodiscard]] TimePoint now() const;
  [[nodiscard]] bool on_loop_thread() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::net
