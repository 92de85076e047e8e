#pragma once

#include <functional>

#include "net/event_loop.h"

namespace flexpert::net {

/// A timeout that is moved much more often than it fires: moving it later costs a store, not a timer. Belongs to the
/// loop's thread; destroying it disarms it. The callback may destroy it.
class DeadlineTimer {
 public:
  DeadlineTimer(EventLoop& loop, std::function<void()> on_expired) : loop_(loop), on_expired_(std::move(on_expired)) {}
  ~DeadlineTimer() { loop_.cancel(timer_); }
  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  /// Expires `delay` after the beginning of this turn of the loop, instead of whenever it would have.
  void set(Duration delay);
  void clear() { armed_ = false; }

 private:
  void check();

  EventLoop& loop_;
  std::function<void()> on_expired_;
  bool armed_ = false;
  TimePoint deadline_{};
  TimerId timer_ = 0;
  TimePoint timer_due_{};
};

}  // namespace flexpert::net
