#include "net/deadline_timer.h"

namespace flexpert::net {

void DeadlineTimer::set(Duration delay) {
  armed_ = true;
  deadline_ = loop_.now() + delay;
  if (timer_ != 0 && timer_due_ <= deadline_) return;
  loop_.cancel(timer_);
  timer_due_ = deadline_;
  timer_ = loop_.call_after(delay, [this] { check(); });
}

void DeadlineTimer::check() {
  timer_ = 0;
  if (!armed_) return;
  if (deadline_ > loop_.now()) {
    timer_due_ = deadline_;
    timer_ = loop_.call_after(deadline_ - loop_.now(), [this] { check(); });
    return;
  }
  armed_ = false;
  const auto callback = on_expired_;  // a copy: the callback may destroy this timer
  callback();
}

}  // namespace flexpert::net
