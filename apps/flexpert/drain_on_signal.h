#pragma once

#include <csignal>

#include <functional>

#include "base/log.h"
#include "net/event_loop.h"
#include "net/signals.h"

namespace flexpert::app {

/// Ends a server's process in order: the first SIGTERM or SIGINT runs `drain`, which is to stop the loop when it is done;
/// the second stops the loop at once. Make it before any thread starts; belongs to the loop's thread.
class DrainOnSignal {
 public:
  DrainOnSignal(net::EventLoop& loop, std::function<void()> drain)
      : loop_(loop), drain_(std::move(drain)), watcher_(loop, {SIGTERM, SIGINT}, [this](int) { on_signal(); }) {}

 private:
  void on_signal() {
    if (draining_) return loop_.stop();
    draining_ = true;
    log::info("finishing what is in flight; a second signal stops at once");
    drain_();
  }

  net::EventLoop& loop_;
  std::function<void()> drain_;
  bool draining_ = false;
  net::SignalWatcher watcher_;
};

}  // namespace flexpert::app
