#pragma once

#include <functional>

#include "net/timer_wheel.h"

namespace flexpert::net {

/// A CoarseTimer that calls a function. The callback may destroy it.
class DeadlineTimer final : private CoarseTimer {
 public:
  DeadlineTimer(EventLoop& loop, std::function<void()> on_expired) : CoarseTimer(loop), on_expired_(std::move(on_expired)) {}

  using CoarseTimer::clear;
  using CoarseTimer::set;

 private:
  void on_timeout() override {
    const auto callback = on_expired_;  // a copy: the callback may destroy this timer
    callback();
  }

  std::function<void()> on_expired_;
};

}  // namespace flexpert::net
