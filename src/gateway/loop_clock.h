#pragma once

#include "base/clock.h"
#include "net/event_loop.h"

namespace flexpert::gateway {

/// The time at which the loop's turn began: whatever happens in one turn happens at one time, and asking costs nothing. Unix time
/// follows it, put right by sync(). Belongs to the loop's thread, unlike other clocks.
class LoopClock final : public Clock {
 public:
  LoopClock(const net::EventLoop& loop, const Clock& clock) : loop_(loop), clock_(clock) { sync(); }
  [[nodiscard]] TimePoint now() const override { return loop_.timer_base(); }
  [[nodiscard]] std::int64_t unix_ms() const override {
    return unix_ms_ + std::chrono::duration_cast<Milliseconds>(now() - synced_).count();
  }
  /// Takes over what the machine's clock says now: it may have been set.
  void sync() {
    synced_ = now();
    unix_ms_ = clock_.unix_ms();
  }

 private:
  const net::EventLoop& loop_;
  const Clock& clock_;
  TimePoint synced_{};
  std::int64_t unix_ms_ = 0;
};

}  // namespace flexpert::gateway
