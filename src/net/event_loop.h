#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/result.h"

namespace flexpert::net {

class TimerWheel;

/// Receives readiness of one file descriptor. `events` are EPOLL* bits.
class FdHandler {
 public:
  virtual ~FdHandler() = default;
  virtual void on_events(std::uint32_t events) = 0;
};

/// Work that waits until the events of this turn are handled, a few dozen at most (or until the timer or task that runs now has returned):
/// what came together is sent together. Answers that leave one after the other find their readers awake; each that leaves alone has to wake
/// one, which costs more than sending it. Nobody is called back from inside a call of his own. Belongs to the loop's thread; must
/// outlive EventLoop::forget().
class AfterEvents {
 public:
  virtual ~AfterEvents() = default;
  virtual void after_events() = 0;

 private:
  friend class EventLoop;
  bool queued_ = false;
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

  /// Runs `work` once, soon: when the events of this turn are handled, before the loop waits. Asking again before that does nothing.
  void after_events(AfterEvents& work);
  /// Does not run it.
  void forget(AfterEvents& work);
  /// Destroys `object` when the events of this turn are handled; at once when the loop does not run.
  template <class T>
  void bury(std::unique_ptr<T> object) {
    if (object != nullptr) bury_later(object.release(), [](void* dead) { delete static_cast<T*>(dead); });
  }

  /// Watches `fd` for EPOLL* `events` (level-triggered unless they say EPOLLET). `handler` must outlive unwatch(fd).
  void watch(int fd, std::uint32_t events, FdHandler* handler);
  void modify(int fd, std::uint32_t events);
  void unwatch(int fd);

  /// Returns the time at which this turn of the loop began.
  [[nodiscard]] TimePoint now() const { return turn_began_; }
  [[nodiscard]] bool on_loop_thread() const;
  /// The timers behind CoarseTimer.
  [[nodiscard]] TimerWheel& wheel();
  /// Returns now() in a turn, and the clock's time outside of turns.
  [[nodiscard]] TimePoint timer_base() const { return depth_ > 0 ? turn_began_ : std::chrono::steady_clock::now(); }

 private:
  void bury_later(void* object, void (*destroy)(void*));

  struct Impl;
  TimePoint turn_began_ = std::chrono::steady_clock::now();
  int depth_ = 0;  ///< of turns: a handler may run the loop itself
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexpert::net
